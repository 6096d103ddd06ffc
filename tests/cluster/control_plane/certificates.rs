//! A certificate authority for one control plane, made anew each time.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::fs;
use std::path::Path;

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::default();
        own.distinguished_name
            .push(DnType::CommonName, "ordain-test-ca");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = own.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(own, key),
            pem,
        }
    }

    /// Writes `ca.crt`.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("ca.crt"), &self.pem).unwrap();
    }

    /// Writes `server.crt` and `server.key` of an API server on this machine.
    pub fn write_server(&self, folder: &Path) {
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
        ];
        let mut server = CertificateParams::new(names.map(str::to_owned)).unwrap();
        server
            .subject_alt_names
            .push(SanType::IpAddress([127, 0, 0, 1].into()));
        server
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(server, folder, "server");
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes `NAME.crt`, `NAME.key` and `NAME.pub` of a client that is `system:masters`.
    pub fn write_client(&self, folder: &Path, name: &str) {
        let client = client(name);
        self.sign(client, folder, name);
    }

    /// As [`Authority::write_client`], of one whose time is over.
    pub fn write_expired_client(&self, folder: &Path, name: &str) {
        let mut client = client(name);
        client.not_before = date_time_ymd(2020, 1, 1);
        client.not_after = date_time_ymd(2021, 1, 1);
        self.sign(client, folder, name);
    }

    fn sign(&self, mut params: CertificateParams, folder: &Path, name: &str) {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| folder.join(format!("{name}.{kind}"));
        fs::write(file("crt"), certificate.pem()).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        fs::write(file("pub"), key.public_key_pem()).unwrap();
    }
}

fn client(name: &str) -> CertificateParams {
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, name);
    client
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    client
}
