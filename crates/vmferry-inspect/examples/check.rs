//! Compares two schema dumps: `cargo run --example check -- OLD.json NEW.json [RENAMES.toml]`.

use std::time::Instant;

use vmferry_inspect::check::{Options, Renames, Schema, check, text};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (old, new, renames) = match arguments.as_slice() {
        [old, new] => (old, new, Renames::default()),
        [old, new, renames] => (old, new, Renames::from_toml(&std::fs::read_to_string(renames)?)?),
        _ => return Err("usage: check OLD.json NEW.json [RENAMES.toml]".into()),
    };
    let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
    let started = Instant::now();
    let (old, new) = (Schema::from_json(&old)?, Schema::from_json(&new)?);
    let mut options = Options::default();
    options.renames = renames;
    let report = check(&old, &new, &options)?;
    let elapsed = started.elapsed();
    print!("{}", text(&report, true));
    println!("{:.1} ms", elapsed.as_secs_f64() * 1000.0);
    Ok(())
}
