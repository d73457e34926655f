//! Addresses of migrations: the object form of argument `channels`, turned into the URI form.
//!
//! Source: `docs/spec/control.md` section 10.
//!
//! | object | URI |
//! |---|---|
//! | `{transport: socket, type: inet, host, port}` | `tcp:HOST:PORT`, an IPv6 address in brackets |
//! | `{transport: socket, type: unix, path}` | `unix:PATH` |
//! | `{transport: socket, type: fd, str}` | `fd:STR` |
//! | `{transport: file, filename, offset}` | `file:PATH,offset=N` |
//! | `{transport: exec, args}` | `exec:exec 'ARG' 'ARG'…`: the shell replaces itself by the program |
//!
//! Differs from QEMU: options of sockets beyond these, `vsock` and `rdma` are refused, since nothing here carries
//! them; and so is a path with a comma, which the URI form would read as an option.

use serde_json::Value;

use crate::arguments::Arguments;
use crate::error::CommandError;

/// Takes `uri` or `channels`, of which exactly one must be there.
pub(crate) fn take(arguments: &mut Arguments) -> Result<String, CommandError> {
    let uri = arguments.optional_string("uri")?;
    let channels = arguments.optional_list("channels")?;
    match (uri, channels) {
        (Some(uri), None) => Ok(uri),
        (None, Some(channels)) => of_channels(arguments, channels),
        (None, None) => Err(CommandError::generic("need either 'uri' or 'channels' argument; found none")),
        (Some(_), Some(_)) => Err(CommandError::generic("need either 'uri' or 'channels' argument; found both")),
    }
}

fn of_channels(arguments: &Arguments, channels: Vec<Value>) -> Result<String, CommandError> {
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

fn of_object(mut address: Arguments) -> Result<String, CommandError> {
    let transport = address.string("transport")?;
    let uri = match transport.as_str() {
        "socket" => of_socket(&mut address)?,
        "file" => {
            let path = path(&mut address, "filename")?;
            match address.optional_u64("offset")?.unwrap_or(0) {
                0 => format!("file:{path}"),
                offset => format!("file:{path},offset={offset}"),
            }
        }
        "exec" => of_exec(&mut address)?,
        _ => return Err(refused(&address, "transport", &transport, "socket, file, exec")),
    };
    address.finish()?;
    Ok(uri)
}

fn of_socket(address: &mut Arguments) -> Result<String, CommandError> {
    let kind = address.string("type")?;
    match kind.as_str() {
        "inet" => {
            let host = address.string("host")?;
            let port = address.string("port")?;
            Ok(if host.contains(':') { format!("tcp:[{host}]:{port}") } else { format!("tcp:{host}:{port}") })
        }
        "unix" => Ok(format!("unix:{}", path(address, "path")?)),
        "fd" => Ok(format!("fd:{}", address.string("str")?)),
        _ => Err(refused(address, "type", &kind, "inet, unix, fd")),
    }
}

fn of_exec(address: &mut Arguments) -> Result<String, CommandError> {
    let mut uri = "exec:exec".to_owned();
    let words = address.list("args")?;
    if words.is_empty() {
        return Err(CommandError::generic(format!("parameter '{}' is empty", address.name_of("args"))));
    }
    for word in words {
        let Value::String(word) = word else {
            let text = format!("parameter '{}' expects a list of strings, found {word}", address.name_of("args"));
            return Err(CommandError::generic(text));
        };
        uri.push_str(" '");
        uri.push_str(&word.replace('\'', r"'\''"));
        uri.push('\'');
    }
    Ok(uri)
}

fn path(address: &mut Arguments, member: &'static str) -> Result<String, CommandError> {
    let path = address.string(member)?;
    if path.contains(',') {
        let name = address.name_of(member);
        return Err(CommandError::generic(format!("parameter '{name}' holds a comma: '{path}'; use another path")));
    }
    Ok(path)
}

fn refused(arguments: &Arguments, name: &str, found: &str, accepted: &str) -> CommandError {
    let name = arguments.name_of(name);
    CommandError::generic(format!("parameter '{name}' does not accept value '{found}'; accepted: {accepted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uri(value: Value) -> Result<String, String> {
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
            assert_eq!(uri(main_channel(address)).unwrap(), expected);
        }
        assert_eq!(uri(json!({"uri": "unix:/tmp/s"})).unwrap(), "unix:/tmp/s");
    }

    #[test]
    fn what_cannot_be_carried_is_refused_with_its_path() {
        for (address, words) in [
            (json!({"transport": "rdma"}), "'channels[0].addr.transport' does not accept value 'rdma'"),
            (json!({"transport": "socket", "type": "vsock"}), "'channels[0].addr.type' does not accept value 'vsock'"),
            (json!({"transport": "socket", "type": "unix"}), "'channels[0].addr.path' is missing"),
            (json!({"transport": "socket", "type": "unix", "path": "a,b"}), "holds a comma"),
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
