//! A certificate authority for one control plane, made anew each time.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::fs;
use std::path::Path;

/// Writes `ca.crt`, and `admin.crt` with `admin.key` and `admin.pub`, which serves, and is `system:masters` as a client.
pub fn write(folder: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "ordain-test-ca");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    fs::write(folder.join("ca.crt"), ca_certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().unwrap();
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
    ]
    .map(str::to_owned);
    let mut admin = CertificateParams::new(names).unwrap();
    admin
        .subject_alt_names
        .push(SanType::IpAddress([127, 0, 0, 1].into()));
    admin.distinguished_name.push(DnType::CommonName, "admin");
    admin
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    admin.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    admin.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    fs::write(
        folder.join("admin.crt"),
        admin.signed_by(&key, &issuer).unwrap().pem(),
    )
    .unwrap();
    fs::write(folder.join("admin.key"), key.serialize_pem()).unwrap();
    // The API server takes its own key for signing service account tokens, and wants the public half for checking them.
    fs::write(folder.join("admin.pub"), key.public_key_pem()).unwrap();
}
