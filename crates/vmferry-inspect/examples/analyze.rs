//! Prints the report on a stream: `analyze [--json] FILE|-`. The `vmferry` command does more; this is the library
//! alone, for measurements.

use std::error::Error;
use std::path::Path;

use vmferry_inspect::{Options, Source, analyze, render};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let is_json = arguments.first().is_some_and(|argument| argument == "--json");
    if is_json {
        arguments.remove(0);
    }
    let [file] = arguments.as_slice() else { return Err("usage: analyze [--json] FILE|-".into()) };
    let source = if file == "-" { Source::pipe(std::io::stdin().lock()) } else { Source::open(Path::new(file))? };
    let analysis = analyze(source, &Options::default(), &mut ())?;
    if is_json {
        analysis.write_json(std::io::stdout().lock())?;
    } else {
        print!("{}", render::tree(&analysis));
    }
    Ok(())
}
