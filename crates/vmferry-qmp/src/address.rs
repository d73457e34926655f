//! Addresses of migrations: argument `uri`, or the object form in argument `channels`.
//!
//! Source: `docs/spec/control.md` section 10.
//!
//! | object | the same as |
//! |---|---|
//! | `{transport: socket, type: inet, host, port}` | `tcp:HOST:PORT` |
//! | `{transport: socket, type: unix, path}` | `unix:PATH` |
//! | `{transport: socket, type: fd, str}` | `fd:STR` |
//! | `{transport: file, filename, offset}` | `file:PATH,offset=N` |
//! | `{transport: exec, args}` | `exec:exec 'ARG' 'ARG'…`: the shell replaces itself by the program |
//!
//! Differs from QEMU: options of sockets beyond these, names of ports, `vsock` and `rdma` are refused, since nothing
//! here carries them.

use std::path::PathBuf;

use serde_json::Value;
use vmferry::channel::{Uri, UriError};

use crate::arguments::Arguments;
use crate::error::CommandError;

/// Takes `uri` or `channels`, of which exactly one must be there.
pub(crate) fn take(arguments: &mut Arguments) -> Result<Uri, CommandError> {
    let uri = arguments.optional_string("uri")?;
    let channels = arguments.optional_list("channels")?;
    match (uri, channels) {
        (Some(uri), None) => uri.parse().map_err(|error: UriError| CommandError::generic(error.to_string())),
        (None, Some(channels)) => of_channels(arguments, channels),
        (None, None) => Err(CommandError::generic("need either 'uri' or 'channels' argument; found none")),
        (Some(_), Some(_)) => Err(CommandError::generic("need either 'uri' or 'channels' argument; found both")),
    }
}

fn of_channels(arguments: &Arguments, channels: Vec<Value>) -> Result<Uri, CommandError> {
    let mut main = None;
    for (index, value) in channels.into_iter().enumerate() {
        let mut channel = arguments.nested(&format!("channels[{index}]"), value)?;
        let kind = channel.string("channel-type")?;
        if kind != "main" {
            return Err(refused(&channel, "channel-type", &kind, "main"));
        }
        let uri = of_object(channel.object("addr")?)?;
        channel.finish()?;
        if main.replace(uri).is_some() {
            return Err(CommandError::generic("argument 'channels' holds more than one channel of type 'main'"));
        }
    }
    main.ok_or_else(|| CommandError::generic("argument 'channels' holds no channel of type 'main'"))
}

fn of_object(mut address: Arguments) -> Result<Uri, CommandError> {
    let transport = address.string("transport")?;
    let uri = match transport.as_str() {
        "socket" => of_socket(&mut address)?,
        "file" => Uri::File {
            path: PathBuf::from(address.string("filename")?),
            offset: address.optional_u64("offset")?.unwrap_or(0),
        },
        "exec" => of_exec(&mut address)?,
        _ => return Err(refused(&address, "transport", &transport, "socket, file, exec")),
    };
    address.finish()?;
    Ok(uri)
}

fn of_socket(address: &mut Arguments) -> Result<Uri, CommandError> {
    let kind = address.string("type")?;
    match kind.as_str() {
        "inet" => {
            let host = address.string("host")?;
            let port = address.string("port")?;
            let port = port.parse().map_err(|_| refused(address, "port", &port, "a number from 0 to 65535"))?;
            Ok(Uri::Tcp { host, port })
        }
        "unix" => Ok(Uri::Unix(PathBuf::from(address.string("path")?))),
        "fd" => Ok(Uri::Fd(address.string("str")?)),
        _ => Err(refused(address, "type", &kind, "inet, unix, fd")),
    }
}

fn of_exec(address: &mut Arguments) -> Result<Uri, CommandError> {
    let mut command = "exec".to_owned();
    let words = address.list("args")?;
    if words.is_empty() {
        return Err(CommandError::generic(format!("parameter '{}' is empty", address.name_of("args"))));
    }
    for word in words {
        let Value::String(word) = word else {
            let text = format!("parameter '{}' expects a list of strings, found {word}", address.name_of("args"));
            return Err(CommandError::generic(text));
        };
        command.push_str(" '");
        command.push_str(&word.replace('\'', r"'\''"));
        command.push('\'');
    }
    Ok(Uri::Exec(command))
}

fn refused(arguments: &Arguments, name: &str, found: &str, accepted: &str) -> CommandError {
    let name = arguments.name_of(name);
    CommandError::generic(format!("parameter '{name}' does not accept value '{found}'; accepted: {accepted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uri(value: Value) -> Result<Uri, String> {
        let Value::Object(members) = value else { panic!("not an object") };
        take(&mut Arguments::new(members)).map_err(|error| error.desc)
    }

    fn main_channel(address: Value) -> Value {
        json!({ "channels": [{ "channel-type": "main", "addr": address }] })
    }

    #[test]
    fn each_object_has_its_uri() {
        for (address, expected) in [
            (json!({"transport": "socket", "type": "inet", "host": "::1", "port": "44"}), "tcp:[::1]:44"),
            (json!({"transport": "socket", "type": "inet", "host": "a.b", "port": "44"}), "tcp:a.b:44"),
            (json!({"transport": "socket", "type": "unix", "path": "/tmp/s"}), "unix:/tmp/s"),
            (json!({"transport": "socket", "type": "fd", "str": "name"}), "fd:name"),
            (json!({"transport": "file", "filename": "/f", "offset": 0}), "file:/f"),
            (json!({"transport": "file", "filename": "/f", "offset": 4096}), "file:/f,offset=4096"),
            (json!({"transport": "exec", "args": ["/bin/cat", "it's"]}), r"exec:exec '/bin/cat' 'it'\''s'"),
        ] {
            assert_eq!(uri(main_channel(address)).unwrap().to_string(), expected);
        }
        assert_eq!(uri(json!({"uri": "unix:/tmp/s"})).unwrap().to_string(), "unix:/tmp/s");
    }

    #[test]
    fn what_cannot_be_carried_is_refused_with_its_path() {
        for (address, words) in [
            (json!({"transport": "rdma"}), "'channels[0].addr.transport' does not accept value 'rdma'"),
            (json!({"transport": "socket", "type": "vsock"}), "'channels[0].addr.type' does not accept value 'vsock'"),
            (json!({"transport": "socket", "type": "unix"}), "'channels[0].addr.path' is missing"),
            (json!({"transport": "socket", "type": "inet", "host": "a", "port": "http"}), "addr.port' does not accept"),
            (json!({"transport": "socket", "type": "unix", "path": "a", "tight": true}), "'channels[0].addr.tight'"),
            (json!({"transport": "exec", "args": []}), "'channels[0].addr.args' is empty"),
            (json!({"transport": "exec", "args": [1]}), "list of strings"),
        ] {
            let text = uri(main_channel(address)).unwrap_err();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn exactly_one_main_channel_is_needed() {
        let channel = json!({"channel-type": "main", "addr": {"transport": "file", "filename": "/f"}});
        for (value, words) in [
            (json!({}), "found none"),
            (json!({"uri": "a", "channels": [channel]}), "found both"),
            (json!({"channels": []}), "no channel of type 'main'"),
            (json!({"channels": [channel, channel]}), "more than one"),
            (json!({"channels": [{"channel-type": "cpr"}]}), "does not accept value 'cpr'; accepted: main"),
            (json!({"channels": [1]}), "'channels[0]' expects an object"),
        ] {
            let text = uri(value).unwrap_err();
            assert!(text.contains(words), "{text}");
        }
    }
}
