/** The CAs as a stack with `edge.protectAuthority` has it, with one leaf. */
import { CertificateAuthority } from "../../../../components/pki";

const authority = new CertificateAuthority("ca", { commonName: "Moorage test", protect: true });
authority.front.issue("front", { commonName: "registry.example.com" });

export = { caCertificate: authority.caCertificatePem };
