# The guard of the lab (guard.ts): keeps a list of server processes and folders, told line by line on stdin. When stdin ends,
# its owner is gone, whatever the reason: then it ends the processes and removes the folders.

trap '' HUP INT TERM QUIT TSTP
newline='
'
pids=' '
folders=$newline

while IFS= read -r line; do
  value=${line#* }
  case $line in
    'pid '*) pids="$pids$value " ;;
    'folder '*) folders="$folders$value$newline" ;;
    'gone '*)
      case $pids in *" $value "*) pids="${pids%%" $value "*} ${pids#*" $value "}" ;; esac
      ;;
    'removed '*)
      case $folders in
        *"$newline$value$newline"*) folders="${folders%%"$newline$value$newline"*}$newline${folders#*"$newline$value$newline"}" ;;
      esac
      ;;
  esac
done

# SIGQUIT is PostgreSQL's immediate shutdown, which removes its shared memory; everything else just dies of it.
[ "$pids" = ' ' ] || kill -QUIT $pids 2>/dev/null
tries=0
while [ "$pids" != ' ' ] && [ $tries -lt 100 ]; do
  left=' '
  for pid in $pids; do
    # A zombie is gone, it only waits for init to notice.
    { read -r _ _ state _ <"/proc/$pid/stat"; } 2>/dev/null && [ "$state" != Z ] && left="$left$pid "
  done
  pids=$left
  [ "$pids" = ' ' ] || sleep 0.05
  tries=$((tries + 1))
done
[ "$pids" = ' ' ] || kill -KILL $pids 2>/dev/null

printf '%s' "$folders" | while IFS= read -r folder; do
  [ -n "$folder" ] || continue
  rm -rf -- "$folder" || { sleep 0.5 && rm -rf -- "$folder"; }
done
