//! What all commands have in common, and those that describe the command itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kit;

use std::process::Stdio;

use kit::{Ran, run, vmferry};

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["--version"], &["migrate", "--help"], &["help", "migrate"]] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(ran.stdout.contains("vmferry"), "{}", ran.stdout);
    }
    assert!(run(&["migrate", "--help"]).stdout.contains("Examples:"));
}

#[test]
fn colour_is_for_terminals_and_no_color_is_honoured() {
    let args = ["migrate", "--qmp", "unix:/nonexistent/qmp", "unix:/x"];
    let with = |variables: &[(&str, &str)]| {
        let mut command = vmferry(&args);
        command.envs(variables.iter().copied());
        Ran::from(command.output().unwrap()).stderr
    };
    assert!(with(&[]).starts_with("error: "));
    assert!(with(&[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}[1;31merror:\u{1b}[0m "));
    assert!(with(&[("NO_COLOR", "1")]).starts_with("error: "));
}

#[test]
fn completions_name_the_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("migrate") && ran.stdout.contains("follow"), "{shell}");
    }
    let ran = run(&["completions", "bash", "--json"]);
    assert_eq!((ran.document()["shell"].as_str(), ran.document()["script"].is_string()), (Some("bash"), true));
    assert_eq!(run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = vmferry(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn manual_pages_are_written_one_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("man1");
    let ran = run(&["man", target.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for page in ["vmferry.1", "vmferry-migrate.1", "vmferry-man.1", "vmferry-completions.1"] {
        let text = std::fs::read_to_string(target.join(page)).unwrap();
        assert!(text.contains(".TH vmferry"), "{page}");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ran = run(&["man", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.starts_with("error: cannot make the folder"), "{}", ran.stderr);
}
