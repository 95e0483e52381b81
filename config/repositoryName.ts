/** Whether the distribution API takes this for the name of a repository; `engine.js` of the edge has the same rule. */
export function isRepositoryName(name: string): boolean {
  const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
  return name.length <= 255 && name.split("/").every((part) => component.test(part));
}
