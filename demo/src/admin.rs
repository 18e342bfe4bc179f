//! An operator's connection to a bank's own admin port.

use std::path::Path;

use strife_certs::CertsError;
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_proto::commit::BankName;
use strife_proto::v1::bank_admin_client::BankAdminClient;
use tonic::transport::Channel;

/// Longest wait for a connection, in milliseconds.
const CONNECT_MS_MAX: u64 = 3_000;

/// Connects as an operator, when first used.
///
/// # Errors
/// Certificates that cannot be read.
pub fn connect(
    address: &str,
    bank: &BankName,
    authority: &Path,
    certificate: &Path,
    private_key: &Path,
) -> Result<BankAdminClient<Channel>, CertsError> {
    let material = Material { authority, certificate, private_key };
    let expected = Identity::Bank(bank.clone());
    let identity = expected.clone();
    let channel =
        channel(address, material.client()?, &identity, CONNECT_MS_MAX, move |peer| *peer == expected);
    Ok(BankAdminClient::new(channel))
}
