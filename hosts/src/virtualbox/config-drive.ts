/** A drive that the live system reads its user data from. */
import { isoImageOf } from "./iso9660";

/** Label that the live system looks for, and where it looks on the drive. */
const LABEL = "config-2";
const USER_DATA = "openstack/latest/user_data";

/** An image (ISO 9660), for an optical drive or a stick. */
export function configDriveOf(userData: string): Buffer {
  return isoImageOf(LABEL, { [USER_DATA]: userData });
}
