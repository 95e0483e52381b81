import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

const yearInHours = 365 * 24;

export interface CertificateAuthorityArgs {
  /** Common name of the authority, as clients see it. */
  readonly commonName: string;
  /** Refuses to delete the authority's key and certificate. @default false */
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

/** The stack's own certificate authority: valid for ten years, its leaves for one. */
export class CertificateAuthority extends pulumi.ComponentResource {
  /** PEM. What clients have to trust. */
  readonly caCertificatePem: pulumi.Output<string>;
  private readonly key: tls.PrivateKey;

  constructor(
    private readonly name: string,
    args: CertificateAuthorityArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("moorage:pki:CertificateAuthority", name, {}, options);
    const child = { parent: this, protect: args.protect ?? false };
    this.key = new tls.PrivateKey(`${name}-key`, { algorithm: "ECDSA", ecdsaCurve: "P256" }, child);
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate`,
      {
        privateKeyPem: this.key.privateKeyPem,
        subject: { commonName: args.commonName, organization: "Moorage" },
        isCaCertificate: true,
        setSubjectKeyId: true,
        allowedUses: ["cert_signing", "crl_signing"],
        validityPeriodHours: 10 * yearInHours,
      },
      child,
    );
    this.caCertificatePem = certificate.certPem;
    this.registerOutputs({ caCertificatePem: this.caCertificatePem });
  }

  /** Issues a certificate named `name`, unique within this authority. */
  issue(name: string, args: LeafArgs): Leaf {
    const child = { parent: this };
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
