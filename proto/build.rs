//! Compiles the contract without protoc. Fields marked `debug_redact` get a Debug that does not show them.

use std::error::Error;
use std::path::PathBuf;

const FILES: &[&str] = &[
    "strife/v1/types.proto",
    "strife/v1/gateway.proto",
    "strife/v1/bank.proto",
    "strife/v1/admin.proto",
    "strife/v1/roster.proto",
    "strife/v1/journal.proto",
    "strife/v1/snapshot.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=strife");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // encoded by protox itself: prost-types would drop debug_redact
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = prost_build::Config::new();
    config.bytes(["."]);
    let pool = compiler.descriptor_pool();
    let mut with_secrets = Vec::new();
    for message in pool.all_messages() {
        let mut secret = false;
        for field in message.fields() {
            let options = field.options();
            let redacted = options.get_field_by_name("debug_redact").and_then(|value| value.as_bool());
            if redacted == Some(true) {
                config.field_attribute(field.full_name(), "#[debug(\"[redacted]\")]");
                secret = true;
            }
        }
        if secret {
            with_secrets.push(format!(".{}", message.full_name()));
            config.type_attribute(message.full_name(), "#[derive(derive_more::Debug)]");
        }
    }
    config.skip_debug(with_secrets);
    let descriptors = compiler.file_descriptor_set();
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
