import {
  etcdContainer,
  etcdScriptPath,
  etcdUnit,
  healingScriptPath,
  installMarkerPath,
} from "@moorage/render";
import { expect, it } from "vitest";
import { rootFiles } from "../../../components/storage/objectStore";
import * as rendered from "../../../hosts/src/rendered";

it("what is asked for on a node is called what the renderer calls it", () => {
  expect(rendered).toMatchObject({
    INSTALL_MARKER: installMarkerPath,
    ETCD_CONTAINER: etcdContainer,
    ETCD_UNIT: etcdUnit,
    ETCD_SCRIPT: etcdScriptPath,
    HEALING_SCRIPT: healingScriptPath,
    STORE_USER_FILE: rootFiles.rootUserFile,
    STORE_PASSWORD_FILE: rootFiles.rootPasswordFile,
  });
});
