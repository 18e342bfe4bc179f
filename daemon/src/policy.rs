//! Who may call what. Every RPC is denied unless its row names the caller's role; a test walks the descriptor
//! set and fails on an RPC without a row.

use strife_certs::identity::Identity;
use strife_proto::commit::BankName;

/// Roles that certificates give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person's client.
    Client,
    /// A gateway.
    Gateway,
    /// An operator of this very bank.
    Operator,
}

/// The table: full method name, and the one role that may call it.
pub const TABLE: &[(&str, Role)] = &[
    ("/strife.v1.Gateway/Banks", Role::Client),
    ("/strife.v1.Gateway/Login", Role::Client),
    ("/strife.v1.Gateway/Logout", Role::Client),
    ("/strife.v1.Gateway/Accounts", Role::Client),
    ("/strife.v1.Gateway/Submit", Role::Client),
    ("/strife.v1.Gateway/SubmitMany", Role::Client),
    ("/strife.v1.Gateway/Outcome", Role::Client),
    ("/strife.v1.Gateway/Cancel", Role::Client),
    ("/strife.v1.Gateway/History", Role::Client),
    ("/strife.v1.Gateway/Life", Role::Client),
    ("/strife.v1.Gateway/Watch", Role::Client),
    ("/strife.v1.Bank/Link", Role::Gateway),
    ("/strife.v1.Bank/Login", Role::Gateway),
    ("/strife.v1.Bank/Logout", Role::Gateway),
    ("/strife.v1.Bank/History", Role::Gateway),
    ("/strife.v1.Bank/Life", Role::Gateway),
    ("/strife.v1.Bank/Watch", Role::Gateway),
    ("/strife.v1.BankAdmin/AddPerson", Role::Operator),
    ("/strife.v1.BankAdmin/OpenAccount", Role::Operator),
    ("/strife.v1.BankAdmin/CashEntry", Role::Operator),
    ("/strife.v1.BankAdmin/SetSettlementCap", Role::Operator),
    ("/strife.v1.BankAdmin/Report", Role::Operator),
    ("/strife.v1.BankAdmin/Verify", Role::Operator),
];

/// Whether a peer may call a method here. `bank` is whose daemon this is, if it is a bank's.
pub fn allows(method: &str, peer: &Identity, bank: Option<&BankName>) -> bool {
    let Some((_, role)) = TABLE.iter().find(|(name, _)| *name == method) else { return false };
    match (role, peer) {
        (Role::Client, Identity::Client(_)) | (Role::Gateway, Identity::Gateway(_)) => true,
        (Role::Operator, Identity::Operator { bank: theirs, .. }) => Some(theirs) == bank,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_one_row_and_no_row_is_left_over() {
        let mut methods: Vec<String> = strife_proto::descriptor_pool()
            .services()
            .flat_map(|service| {
                let name = service.full_name().to_owned();
                let names: Vec<String> =
                    service.methods().map(|method| format!("/{name}/{}", method.name())).collect();
                names
            })
            .collect();
        let mut rows: Vec<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        methods.sort();
        rows.sort();
        assert_eq!(methods, rows);
    }

    #[test]
    fn everything_else_is_denied() {
        let bank = BankName::new("Bank1").unwrap();
        let other = BankName::new("Bank2").unwrap();
        let client = Identity::Client("ann".into());
        let gateway = Identity::Gateway("g1".into());
        let operator = |bank: &BankName| Identity::Operator { bank: bank.clone(), name: "op".into() };
        assert!(allows("/strife.v1.Gateway/Submit", &client, None));
        assert!(allows("/strife.v1.Bank/Link", &gateway, Some(&bank)));
        assert!(allows("/strife.v1.BankAdmin/CashEntry", &operator(&bank), Some(&bank)));
        for (method, peer, own) in [
            ("/strife.v1.Bank/Link", &client, Some(&bank)),
            ("/strife.v1.Bank/Link", &Identity::Bank(other.clone()), Some(&bank)),
            ("/strife.v1.BankAdmin/CashEntry", &gateway, Some(&bank)),
            ("/strife.v1.BankAdmin/CashEntry", &operator(&other), Some(&bank)),
            ("/strife.v1.BankAdmin/CashEntry", &operator(&bank), None),
            ("/strife.v1.Gateway/Submit", &gateway, None),
            ("/strife.v1.Gateway/Nothing", &client, None),
            ("", &client, None),
        ] {
            assert!(!allows(method, peer, own), "{method} {peer}");
        }
    }
}
