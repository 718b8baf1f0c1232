//! Prints the CustomResourceDefinition; `cargo xtask crdgen` writes it to its file.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", mcp_crds::crd_yaml()?);
    Ok(())
}
