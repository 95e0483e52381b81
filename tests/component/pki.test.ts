import { describe, expect, test } from "vitest";
import { CertificateAuthority } from "../../components/pki";
import { plain, secretPaths, shown } from "../support/mocks";
import { recorded } from "./parts";

function withLeaf(protect?: boolean) {
  return recorded(() => {
    const authority = new CertificateAuthority("ca", { commonName: "Moorage test", protect });
    authority.issue("front", {
      commonName: "registry.example.com",
      dnsNames: ["registry.example.com"],
      ipAddresses: ["10.0.2.10"],
    });
  });
}

describe("the certificate authority", () => {
  test("is a key and a certificate, and each leaf a key, a request and a certificate", async () => {
    expect((await withLeaf()).children("ca")).toEqual([
      "CertRequest ca-front-request",
      "LocallySignedCert ca-front-certificate",
      "PrivateKey ca-front-key",
      "PrivateKey ca-key",
      "SelfSignedCert ca-certificate",
    ]);
  });

  test("signs itself for ten years, and for signing only", async () => {
    const recorder = await withLeaf();
    expect(recorder.named("ca-key").inputs).toEqual({ algorithm: "ECDSA", ecdsaCurve: "P256" });
    expect(plain(recorder.named("ca-certificate").inputs)).toEqual({
      privateKeyPem: "private ca-key",
      subject: { commonName: "Moorage test", organization: "Moorage" },
      isCaCertificate: true,
      setSubjectKeyId: true,
      allowedUses: ["cert_signing", "crl_signing"],
      validityPeriodHours: 87_600,
    });
  });

  test("issues leaves for a year, renewed 90 days before their end", async () => {
    const recorder = await withLeaf();
    expect(plain(recorder.named("ca-front-request").inputs)).toEqual({
      privateKeyPem: "private ca-front-key",
      subject: { commonName: "registry.example.com" },
      dnsNames: ["registry.example.com"],
      ipAddresses: ["10.0.2.10"],
    });
    expect(plain(recorder.named("ca-front-certificate").inputs)).toEqual({
      certRequestPem: "request ca-front-request",
      caPrivateKeyPem: "private ca-key",
      caCertPem: "certificate ca-certificate",
      allowedUses: ["digital_signature", "server_auth"],
      setSubjectKeyId: true,
      validityPeriodHours: 8_760,
      earlyRenewalHours: 2_160,
    });
  });

  test("keeps keys secret, and nothing else", async () => {
    const recorder = await withLeaf();
    const secrets = recorder.resources.map((one) => [one.name, ...secretPaths(one.inputs)].join(" "));
    expect(secrets.filter((line) => line.includes(" ")).sort()).toEqual([
      "ca-certificate privateKeyPem",
      "ca-front-certificate caPrivateKeyPem",
      "ca-front-request privateKeyPem",
    ]);
    expect(shown(recorder.outputs.get("ca"))).toEqual({ caCertificatePem: "certificate ca-certificate" });
  });

  test("is protected when asked to, the leaves are not: they are renewed", async () => {
    const isProtected = async (protect?: boolean) =>
      (await withLeaf(protect)).resources.filter((one) => one.protect).map((one) => one.name);
    expect((await isProtected(true)).sort()).toEqual(["ca-certificate", "ca-key"]);
    expect(await isProtected()).toEqual([]);
  });

  test("is there twice under two names", async () => {
    const recorder = await recorded(() => {
      for (const name of ["one", "other"]) {
        new CertificateAuthority(name, { commonName: name }).issue("front", { commonName: name });
      }
    });
    expect(recorder.children("other")).toEqual(
      recorder.children("one").map((child) => child.replace("one-", "other-")),
    );
  });
});
