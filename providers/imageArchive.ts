/** Looked up while the program runs, so that a preview knows the image each service will have. */
export { imageIdOfArchive } from "@moorage/hosts";
