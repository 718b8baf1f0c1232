//! Writes every generated file to its place in the repository; `cargo xtask crdgen` runs it.

use std::{fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in mcp_crds::generated()? {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, file.text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("{}", file.path);
    }
    Ok(())
}
