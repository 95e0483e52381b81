/** Parts of the shell scripts that make a trial on a node. */
import { quote } from "../ssh/quote";

/** `put FROM TO`: a file with mode and owner to its place, as a whole. */
export const putFunction = `
put() {
  mkdir -p "$(dirname "$2")"
  cp -a "$1" "$(dirname "$2")/.moorage-trial" && mv -f "$(dirname "$2")/.moorage-trial" "$2"
  if command -v restorecon >/dev/null; then restorecon "$2" || :; fi
}`;

/** `keep PATH`: what is there now, below `former` in the folder that the script is in. */
export const keepFunction = `
keep() {
  if [ ! -e "$1" ]; then return 0; fi
  mkdir -p "former$(dirname "$1")"
  cp -a "$1" "former$1"
}`;

/** `put_back`: what was kept of the \`paths\` in the folder that the script is in; what was not there is removed. */
export const putBackFunction = `${putFunction}
put_back() {
  while read -r path; do
    if [ -e "former$path" ]; then put "former$path" "$path"; else rm -f "$path"; fi
  done < paths
  sync
}`;

/** Waits until networkd has done with its links, for some seconds at most. */
export const linksSettled = `for second in 1 2 3 4 5 6 7 8; do
    grep -qsx 'ADMIN_STATE=\\(pending\\|initialized\\|configuring\\)' /run/systemd/netif/links/* || break
    sleep 1
  done`;

/** Writes a text to a path; nothing of it is read by the shell. */
export const writing = (path: string, content: string): string =>
  `base64 -d > ${quote(path)} <<'MOORAGE_END'\n${Buffer.from(content, "utf8").toString("base64")}\nMOORAGE_END`;
