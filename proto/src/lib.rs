//! The wire contract: generated code, and the checked conversions to domain types.
//!
//! What lives here: `strife.v1` as generated from `strife/v1/*.proto`; the [`domain`] types, valid by
//! construction; what is signed, and with which domain tag ([`signing`], [`statement`], [`batch`]); the [`Refusal`]s of
//! every door. What must never: rules about money, a clock, a network.

pub mod batch;
pub mod domain;
pub mod many;
pub mod refusal;
pub mod signing;
pub mod statement;

pub use refusal::Refusal;
pub use strife_commit as commit;

/// `strife.v1` as generated. Wire types stop at the conversion: see [`domain`] and [`statement`].
#[allow(missing_docs, clippy::all, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("strife.v1");
}

/// The journal's own format.
#[allow(missing_docs, clippy::all, unused_qualifications)]
pub mod journal {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("strife.journal.v1");
    }
}

impl v1::link_request::Message {
    /// What it is called in bank.proto.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::Decide(_) => "decide",
            Self::Inquire(_) => "inquire",
            Self::Cancel(_) => "cancel",
            Self::Post(_) => "post",
            Self::Release(_) => "release",
            Self::Acknowledge(_) => "acknowledge",
            Self::ListUnfinished(_) => "list_unfinished",
            Self::Accounts(_) => "accounts",
            Self::Outcome(_) => "outcome",
        }
    }
}

/// The compiled contract (a `FileDescriptorSet`, with every option kept), for reflection and for logs.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The contract as a pool of descriptors.
pub fn descriptor_pool() -> prost_reflect::DescriptorPool {
    // the bytes were compiled together with this program, and a test decodes them
    prost_reflect::DescriptorPool::decode(DESCRIPTORS).expect("compiled descriptors decode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_marked_in_the_descriptors_and_hidden_in_debug() {
        let login = descriptor_pool().get_message_by_name("strife.v1.LoginSecret").unwrap();
        let password = login.get_field_by_name("password").unwrap();
        assert!(password.options().get_field_by_name("debug_redact").unwrap().as_bool().unwrap());
        let secret =
            v1::LoginSecret { password: "hunter2".into(), person: "ann".into(), ..Default::default() };
        let shown = format!("{secret:?}");
        assert!(
            shown.contains("ann") && shown.contains("[redacted]") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn the_codes_of_the_contract_are_the_codes_of_the_protocol() {
        for code in commit::Code::ALL {
            let wire = v1::Code::try_from(*code as i32).unwrap();
            assert_eq!(wire.as_str_name(), format!("CODE_{}", code.name()));
        }
        assert!(v1::Code::try_from(commit::Code::ALL.len() as i32 + 1).is_err());
    }
}
