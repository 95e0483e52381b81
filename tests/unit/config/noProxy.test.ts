import { expect, test } from "vitest";
import { baseFiles, downloadProxies } from "../../../config/models";
import { parseStackConfig } from "../../../config/stack";
import { machinesStack } from "../../support/stacks";
import { set } from "./mistakes";

const address = (subnet: string) => ({ address: `${subnet}.11/24` });

test("no node is asked for by the proxy, at whichever of its addresses", () => {
  const raw = structuredClone(machinesStack());
  const settings = {
    "nodes.coreos1.advertiseAddr": "10.40.0.11",
    "nodes.coreos2.dataPathAddr": "10.41.0.12",
    "nodes.coreos1.nics": { eth1: address("10.40.0"), eth2: { dhcp: true, metric: 900 } },
    "nodes.coreos2.nics": { eth1: { address: "10.41.0.12/24" } },
    "nodes.coreos2.advertiseAddr": "10.41.0.12",
    "nodes.coreos3.nics": { eth1: { address: "10.42.0.13/24" } },
    "nodes.coreos4.vlans": { v3000: { id: 3000, ...address("10.30.0") } },
  };
  for (const [path, value] of Object.entries(settings)) set(raw, path.split("."), value);
  const config = parseStackConfig(raw);
  const { none } = downloadProxies(config).proxies ?? expect.unreachable();
  expect(none.filter((one) => /^10\.\d+\.\d+\.1[1-4]$/.test(one))).toEqual([
    ...["10.0.2.11", "10.40.0.11"],
    ...["10.0.2.12", "10.41.0.12"],
    ...["10.0.2.13", "10.42.0.13"],
    ...["10.0.2.14", "10.30.0.11"],
  ]);
  const { files } = baseFiles(config, "coreos3", {
    caCertificate: "",
    api: { certificate: "", key: "" },
    passwordHashes: {},
  });
  const lines = (files["/etc/environment"]?.content ?? "").split("\n");
  for (const key of ["no_proxy", "NO_PROXY"]) expect(lines).toContain(`${key}=${none.join(",")}`);
});
