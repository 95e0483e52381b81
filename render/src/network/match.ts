const macAddress = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

export function isMacAddress(match: string): boolean {
  return macAddress.test(match);
}

/** What an interface's files are called by: its name, or the digits of its MAC address. */
export function fileName(match: string): string {
  return match.toLowerCase().replaceAll(":", "");
}
