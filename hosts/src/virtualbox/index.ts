export { configDriveOf } from "./config-drive";
export * from "./contract";
export { guest } from "./guest";
export { isoImage } from "./iso";
export { isoImageOf } from "./iso9660";
export { natNetwork } from "./network";
