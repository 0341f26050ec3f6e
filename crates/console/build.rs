//! Lists the built files of the console, so that they are part of the binary.
//!
//! `scripts/console` builds them into `console/dist` beforehand, with Node; nothing here runs it. A folder without a page gives an empty
//! list, and a binary that says how to get one.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let built = folder_of("CARGO_MANIFEST_DIR")?.join("../../console/dist");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    // A path that is not there would have this run at every build.
    if built.is_dir() {
        let built = built.canonicalize()?;
        println!("cargo:rerun-if-changed={}", built.display());
        collect(&built, &mut files)?;
        // They are found by their whole names.
        files.sort_by_key(|path| path.display().to_string());
        write(&built, &files)
    } else {
        write(&built, &files)
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            collect(&path, files)?;
        } else if !is_hidden {
            files.push(path);
        }
    }
    Ok(())
}

/// One entry a file that is asked for; those that end in `.br` and `.gz` are its compressed forms.
fn write(built: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut list = String::from("pub(crate) static FILES: &[File] = &[\n");
    let is_compressed = |path: &Path| path.extension().is_some_and(|ending| ending == "br" || ending == "gz");
    for path in files.iter().filter(|path| !is_compressed(path)) {
        let form = |ending: &str| -> String {
            let form = PathBuf::from(format!("{}{ending}", path.display()));
            if files.contains(&form) { format!("Some({})", include(&form)) } else { "None".into() }
        };
        let name = path.strip_prefix(built)?.display();
        writeln!(
            list,
            "    File {{ path: {:?}, plain: {}, gzip: {}, brotli: {} }},",
            format!("/{name}"),
            include(path),
            form(".gz"),
            form(".br")
        )?;
    }
    list.push_str("];\n");
    fs::write(folder_of("OUT_DIR")?.join("files.rs"), list)?;
    Ok(())
}

fn folder_of(variable: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(env::var_os(variable).ok_or("cargo sets this")?.into())
}

fn include(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}
