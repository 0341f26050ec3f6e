//! Compiles every `.proto` under `proto/` without a `protoc`, with proto3 JSON for the event contract.

use std::error::Error;
use std::path::{Path, PathBuf};

fn protos(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            protos(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    protos(root, &mut files)?;
    files.sort();
    let set = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // Apart from the rest: not every server has the service for operators, and one that has not does not speak of it.
    let (of_operators, others) =
        set.file.iter().cloned().partition::<Vec<_>, _>(|file| file.package() == "gridtrail.operate.v1");
    let encoded = |file| prost::Message::encode_to_vec(&prost_types::FileDescriptorSet { file });
    let bytes = encoded(others);
    std::fs::write(out.join("descriptors.bin"), &bytes)?;
    std::fs::write(out.join("operate_descriptors.bin"), encoded(of_operators))?;
    // Messages know their names, so that they are found among the descriptors.
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds_with_config(set, config)?;
    pbjson_build::Builder::new().register_descriptors(&bytes)?.build(&[".gridtrail.events"])?;
    Ok(())
}
