// Takes connections at each place and passes them on to a server's socket. Told `drop`, it passes nothing on any more, in either direction, as
// packets lost on the way; told `heal`, it goes on, and what was on the way arrives. argv: JSON [{host, port, to: {path} | {port}}].

import { connect, createServer } from 'node:net'

const places = JSON.parse(process.argv[2]).map(place => ({ ...place, dropping: false, sockets: new Set() }))

for (const place of places) {
  const server = createServer({ pauseOnConnect: true }, near => {
    const far = connect(place.to)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      place.sockets.add(from)
      from.on('data', chunk => to.write(chunk))
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        place.sockets.delete(from)
        to.destroy()
      })
    }
    far.pause()
    if (!place.dropping) for (const socket of [near, far]) socket.resume()
  })
  await new Promise(resolve => server.listen(place.port, place.host, resolve))
  place.port = server.address().port
}

process.on('message', ({ index, dropping }) => {
  const place = places[index]
  place.dropping = dropping
  for (const socket of place.sockets) dropping ? socket.pause() : socket.resume()
})
process.on('disconnect', () => process.exit())
process.send(places.map(({ port }) => port))
