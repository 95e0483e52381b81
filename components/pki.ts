import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

const yearInHours = 365 * 24;

export interface CertificateAuthorityArgs {
  /** Common name of the front's CA, as clients see it. The others' begin with it. */
  readonly commonName: string;
  /** Refuses to delete the keys and certificates of the CAs. @default false */
  readonly protect?: boolean;
}

export interface LeafArgs {
  readonly commonName: string;
  readonly dnsNames?: string[];
  readonly ipAddresses?: string[];
  /** What the certificate may be used for. @default ["server_auth"] */
  readonly usages?: ("server_auth" | "client_auth")[];
}

/** A certificate with its key. Both are renewed 90 days before expiry, by the next `pulumi up`. */
export interface Leaf {
  readonly certificatePem: pulumi.Output<string>;
  /** Secret. */
  readonly privateKeyPem: pulumi.Output<string>;
}

/** One CA, valid for ten years. Its leaves are valid for one. */
export class Issuer {
  /** PEM. What those have to trust whom its leaves serve. */
  readonly caCertificatePem: pulumi.Output<string>;
  private readonly key: tls.PrivateKey;

  constructor(
    private readonly name: string,
    commonName: string,
    private readonly parent: pulumi.Resource,
    protect: boolean,
  ) {
    const child = { parent, protect };
    this.key = new tls.PrivateKey(`${name}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate`,
      {
        privateKeyPem: this.key.privateKeyPem,
        subject: { commonName, organization: "Moorage" },
        isCaCertificate: true,
        setSubjectKeyId: true,
        allowedUses: ["cert_signing", "crl_signing"],
        validityPeriodHours: 10 * yearInHours,
      },
      child,
    );
    this.caCertificatePem = certificate.certPem;
  }

  /** Issues a certificate named `name`, unique within this CA. */
  issue(name: string, args: LeafArgs): Leaf {
    const child = { parent: this.parent };
    const full = `${this.name}-${name}`;
    const key = new tls.PrivateKey(`${full}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const request = new tls.CertRequest(
      `${full}-request`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: args.commonName },
        dnsNames: args.dnsNames ?? [],
        ipAddresses: args.ipAddresses ?? [],
      },
      child,
    );
    const certificate = new tls.LocallySignedCert(
      `${full}-certificate`,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: this.key.privateKeyPem,
        caCertPem: this.caCertificatePem,
        allowedUses: ["digital_signature", ...(args.usages ?? ["server_auth"])],
        setSubjectKeyId: true,
        validityPeriodHours: yearInHours,
        earlyRenewalHours: 90 * 24,
      },
      child,
    );
    return { certificatePem: certificate.certPem, privateKeyPem: key.privateKeyPem };
  }
}

/** The stack's own CAs. Each is trusted for one purpose, so a key of one service opens no other service. */
export class CertificateAuthority extends pulumi.ComponentResource {
  /** PEM, of the front's CA: what clients of the registry have to trust. */
  readonly caCertificatePem: pulumi.Output<string>;
  readonly front: Issuer;
  readonly dockerApi: Issuer;
  readonly etcd: Issuer;

  constructor(name: string, args: CertificateAuthorityArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:pki:CertificateAuthority", name, {}, options);
    const { commonName, protect = false } = args;
    this.front = new Issuer(name, commonName, this, protect);
    this.dockerApi = new Issuer(`${name}-docker`, `${commonName} Docker API`, this, protect);
    this.etcd = new Issuer(`${name}-etcd`, `${commonName} etcd`, this, protect);
    this.caCertificatePem = this.front.caCertificatePem;
    this.registerOutputs({ caCertificatePem: this.caCertificatePem });
  }
}
