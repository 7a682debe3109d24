// Raw bytes of the terminal to keys, one byte at a time, so that it makes no difference how they were cut into chunks.
import { controlKey, csiKey, linuxKey, ss3Key, withAlt } from './names.ts'

/**
 * One key. `name` is what the key list says: 'a' 'A' '/' 'Enter' 'Esc' 'Tab' 'S-Tab' 'Space' 'Backspace' 'PgDn' 'F5' 'C-c' 'M-x' 'C-S-Up'.
 * `text` is what it types, for keys that type: the character itself, or a paste's content (name 'paste'), as raw as it came.
 */
export type Key = { readonly name: string; readonly text?: string }

export type KeyParser = {
  /** Takes the next bytes; calls onKey for each key they complete. */
  feed(chunk: Uint8Array | string): void
  /** No more input: a pending ESC is the Esc key, an unfinished sequence is dropped, timers stop. The parser can be used again. */
  end(): void
}

export type KeyParserOptions = {
  /** How long a lone ESC may still become the start of a sequence. */
  escapeTimeoutMs?: number
  /** How long a sequence that has begun may stop in the middle before it is given up, so that a broken one never locks the keyboard. */
  sequenceTimeoutMs?: number
}

const ESC = 0x1b
const CTRL_C = 0x03
const pasteEnd = [...Buffer.from('\x1b[201~')]
const maxPasteBytes = 1 << 20
const maxParameters = 64

type State =
  | 'ground'
  | 'utf8' // inside a character of several bytes
  | 'escape' // after ESC
  | 'escapeEscape' // after ESC ESC
  | 'csi' // after ESC [
  | 'linux' // after ESC [ [
  | 'ss3' // after ESC O
  | 'mouse' // after ESC [ M: three bytes follow
  | 'string' // after ESC ] P _: up to BEL or ESC \
  | 'stringEscape' // ESC inside it
  | 'paste' // between ESC [ 200 ~ and ESC [ 201 ~

/**
 * Makes a parser that calls onKey once a key, in order. Sequences it doesn't know, and terminals' answers and reports, are swallowed
 * whole. An unfinished sequence never turns into its letters; a control key, Ctrl-C above all, ends it and is heard.
 */
export function createKeyParser(onKey: (key: Key) => void, options: KeyParserOptions = {}): KeyParser {
  const { escapeTimeoutMs = 50, sequenceTimeoutMs = 1000 } = options
  let state: State = 'ground'
  let alt = false
  let introducer = '' // the byte after ESC, as long as nothing else followed: Alt with that character
  let parameters = ''
  let bytes: number[] = []
  let missing = 0 // bytes still to come in 'utf8' and 'mouse'
  let pasted = 0 // bytes of the paste and its end so far, kept or not
  let matched = 0 // of them, how many at the end are the beginning of the paste's end
  let timer: ReturnType<typeof setTimeout> | undefined

  function press(name: string | null): void {
    const named = name !== null && alt ? withAlt(name) : name
    toGround()
    if (named === null) return
    const text = named === 'Space' ? ' ' : [...named].length === 1 ? named : undefined
    onKey(text === undefined ? { name: named } : { name: named, text })
  }

  function toGround(): void {
    state = 'ground'
    alt = false
    introducer = ''
    parameters = ''
    bytes = []
    missing = 0
  }

  function begin(next: State, byte = ''): void {
    state = next
    introducer = byte
    parameters = ''
  }

  // A sequence that will not be finished.
  function giveUp(): void {
    const only = introducer
    const was = state
    const twice = alt
    toGround()
    if (was === 'escape' || was === 'escapeEscape' || was === 'stringEscape') {
      for (let n = was === 'escapeEscape' ? 2 : 1; n > 0; n--) onKey({ name: 'Esc' })
    } else if (only !== '') {
      if (twice) onKey({ name: 'Esc' })
      onKey({ name: `M-${only}` })
    }
  }

  function character(text: string): void {
    const code = text.codePointAt(0)!
    // C1 controls, as terminals with 8-bit controls send them.
    if (code === 0x9b) begin('csi')
    else if (code === 0x8f) begin('ss3')
    else if ([0x90, 0x9d, 0x9f].includes(code)) begin('string')
    else press(code < 0xa0 || code === 0xfffd ? null : text)
  }

  function ground(byte: number): void {
    if (byte === ESC) begin('escape')
    else if (byte < 0x20 || byte === 0x7f) press(controlKey(byte))
    else if (byte === 0x20) press('Space')
    else if (byte < 0x7f) press(String.fromCharCode(byte))
    else if (byte < 0xa0) character(String.fromCharCode(byte))
    else if (byte >= 0xc2 && byte <= 0xf4) {
      state = 'utf8'
      bytes = [byte]
      missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    } else press(null)
  }

  function afterEscape(byte: number): void {
    const char = String.fromCharCode(byte)
    if (byte === ESC) {
      // Of three or more the first ones can only be the Esc key.
      if (state === 'escapeEscape') onKey({ name: 'Esc' })
      state = 'escapeEscape'
      return
    }
    const twice = state === 'escapeEscape'
    // rxvt and macOS send Alt with a key that is a sequence as ESC before it.
    if (char === '[' || char === 'O') {
      alt = twice
      begin(char === '[' ? 'csi' : 'ss3', char)
      return
    }
    toGround()
    if (twice) onKey({ name: 'Esc' })
    if (']P_'.includes(char)) begin('string', char)
    else if (byte === 0x09) press('S-Tab')
    else if (byte < 0x20 && byte !== 0x0d && byte !== 0x08) {
      onKey({ name: 'Esc' })
      ground(byte)
    } else {
      alt = true
      ground(byte)
    }
  }

  function inCsi(byte: number): void {
    const char = String.fromCharCode(byte)
    const first = parameters === ''
    if (first && char === '[') begin('linux')
    else if (first && char === 'M') {
      begin('mouse')
      missing = 3
    } else if (byte < 0x40 && !(char === '$' && /^\d+$/.test(parameters))) {
      introducer = ''
      // Longer than any key's: swallowed all the same, and no longer understood.
      parameters = parameters.length < maxParameters ? parameters + char : '?'
    } else if (char === '~' && parameters === '200') {
      toGround()
      state = 'paste'
      pasted = 0
      matched = 0
    } else if (char === '~' && parameters === '201') press(null)
    else press(csiKey(parameters, char))
  }

  function inSs3(byte: number): void {
    const char = String.fromCharCode(byte)
    if (/[\d;]/.test(char)) {
      introducer = ''
      parameters = parameters.length < maxParameters ? parameters + char : '?'
    } else press(ss3Key(parameters, char))
  }

  function inPaste(byte: number): void {
    if (byte === CTRL_C) {
      toGround()
      ground(byte)
      return
    }
    pasted++
    matched = byte === pasteEnd[matched] ? matched + 1 : byte === ESC ? 1 : 0
    if (pasted <= maxPasteBytes) bytes.push(byte)
    if (matched < pasteEnd.length) return
    const text = Buffer.from(bytes.slice(0, pasted - pasteEnd.length)).toString()
    toGround()
    onKey({ name: 'paste', text })
  }

  function take(byte: number): void {
    if (state === 'ground') ground(byte)
    else if (state === 'escape' || state === 'escapeEscape') afterEscape(byte)
    else if (state === 'paste') inPaste(byte)
    else if (state === 'utf8') {
      if ((byte & 0xc0) !== 0x80) {
        toGround()
        ground(byte)
        return
      }
      bytes.push(byte)
      if (--missing === 0) character(Buffer.from(bytes).toString())
    } else if (state === 'stringEscape') {
      toGround()
      if (byte !== 0x5c) {
        begin('escape')
        afterEscape(byte)
      }
    } else if (state === 'string' && (byte === ESC || byte === 0x07)) {
      if (byte === ESC) state = 'stringEscape'
      else toGround()
    } else if (byte < 0x20 || (byte >= 0x7f && state !== 'mouse' && state !== 'string')) {
      giveUp()
      ground(byte)
    } else if (state === 'csi') inCsi(byte)
    else if (state === 'ss3') inSs3(byte)
    else if (state === 'linux') press(linuxKey(String.fromCharCode(byte)))
    else if (state === 'mouse') {
      if (--missing === 0) toGround()
    } else introducer = ''
  }

  function stopTimer(): void {
    clearTimeout(timer)
    timer = undefined
  }

  return {
    feed(chunk) {
      stopTimer()
      for (const byte of typeof chunk === 'string' ? Buffer.from(chunk) : chunk) take(byte)
      if (state === 'ground' || state === 'paste') return
      const lone = state === 'escape' || state === 'escapeEscape'
      timer = setTimeout(giveUp, lone ? escapeTimeoutMs : sequenceTimeoutMs)
    },
    end() {
      stopTimer()
      giveUp()
    },
  }
}
