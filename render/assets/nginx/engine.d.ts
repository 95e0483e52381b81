/** Types of engine.js, for tests. */
interface User {
  readonly name: string;
  readonly rights: readonly { readonly prefix: string; readonly access: "read" | "write" }[];
}
interface Request {
  readonly kind: "base" | "catalog" | "tags" | "referrers" | "manifest" | "blob" | "upload";
  readonly repository: string;
  readonly reference: string;
}
declare const engine: {
  isRepositoryName(name: string): boolean;
  parsePath(path: string): Request | undefined;
  queryValues(query: string, name: string): string[] | undefined;
  hasRight(user: User, repository: string, write: boolean): boolean;
  decide(
    users: readonly User[],
    name: string,
    method: string,
    target: string,
  ): "allowed" | "denied" | "unknown";
  routeOf(users: readonly User[], name: string, method: string, target: string): string;
  contentOf(target: string): string;
  acceptedTypes(accept: string): string;
};
export default engine;
