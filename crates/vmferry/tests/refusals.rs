//! What operators read when a guest cannot come: the place, the cause, and the next step.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod ends;
mod machine;

use ends::{Device, End, end, moved};
use vmferry::Machine as _;
use vmferry::control::RunState;
use vmstate::{Place, Properties, VmState};

#[derive(Properties, Debug, Clone)]
#[properties(device = "uart16550")]
struct UartProps {
    #[property(default = true)]
    migrate_fifo: bool,
    #[property(default = true)]
    migrate_rate: bool,
}

mod newer {
    use super::UartProps;
    use vmstate::VmState;

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart", version = 3, props = UartProps)]
    pub(crate) struct UartImage {
        pub(crate) control: u8,
        #[vmstate(gate = migrate_rate)]
        pub(crate) rate: u32,
        #[vmstate(subsection, gate = migrate_fifo)]
        pub(crate) fifo: Option<FifoImage>,
        #[vmstate(subsection)]
        pub(crate) error: Option<ErrorImage>,
    }

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart/fifo", version = 2)]
    pub(crate) struct FifoImage {
        pub(crate) used: u8,
    }

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart/error", version = 1)]
    pub(crate) struct ErrorImage {
        pub(crate) code: u8,
    }

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart", version = 4)]
    pub(crate) struct NextImage {
        pub(crate) control: u8,
    }
}

mod older {
    use super::UartProps;
    use vmstate::VmState;

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart", version = 3, props = UartProps)]
    pub(crate) struct UartImage {
        pub(crate) control: u8,
        #[vmstate(gate = migrate_rate)]
        pub(crate) rate: u32,
    }

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart", version = 3)]
    pub(crate) struct ConfiguredImage {
        #[vmstate(equal)]
        pub(crate) control: u8,
    }

    #[derive(VmState, Default, Clone)]
    #[vmstate(name = "uart", version = 2)]
    pub(crate) struct FirstImage {
        pub(crate) control: u8,
    }
}

fn props() -> UartProps {
    UartProps::default()
}

fn with<I>(run_state: RunState, place: Place, image: I, props: I::Props) -> End
where
    I: VmState<Props: Clone + Send> + Clone + Send + 'static,
{
    let end = end(run_state);
    end.registry.register(place, Device(image, props)).unwrap();
    end
}

fn source<I>(image: I, props: I::Props) -> End
where
    I: VmState<Props: Clone + Send> + Clone + Send + 'static,
{
    with(RunState::Running, Place::default(), image, props)
}

fn destination<I>(image: I, props: I::Props) -> End
where
    I: VmState<Props: Clone + Send> + Clone + Send + 'static,
{
    with(RunState::InMigrate, Place::default(), image, props)
}

/// What both ends say, offsets aside. The guest goes on at the source.
fn refused(source: &End, destination: &End) -> (String, String) {
    let at_destination = moved(source, destination).unwrap_err();
    assert_eq!(source.machine.run_state(), RunState::Running);
    let at_source = source.migration.info().error.unwrap();
    (without_offset(&at_destination), at_source)
}

fn without_offset(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        words.push(if word.starts_with("0x") && word.ends_with(':') { "0x…:" } else { word });
    }
    words.join(" ")
}

#[test]
fn an_unknown_subsection_behind_a_property() {
    let image = newer::UartImage { fifo: Some(newer::FifoImage { used: 3 }), ..Default::default() };
    let (there, here) = refused(&source(image, props()), &destination(older::UartImage::default(), props()));
    assert_eq!(
        there,
        "destination: section 'uart' instance 0: uart at byte 0x…: subsection 'uart/fifo' is not known to this release \
         (the source is a newer release, whose 'uart' has state that this one cannot hold: turn off the property that has \
         'uart/fifo' sent there, or migrate to a release that knows it; state that is only sent while it is in use may \
         be gone at the next attempt)"
    );
    assert!(
        here.starts_with("source: the destination could not load the guest: destination: section 'uart'"),
        "{here}"
    );
    assert!(
        here.ends_with(
            "('uart/fifo' of 'uart' is sent because the property uart16550.migrate-fifo is on here: the machine type of a \
             guest that is to move to such a release turns it off, or --global uart16550.migrate-fifo=off does, when the \
             guest is started)"
        ),
        "{here}"
    );
}

#[test]
fn an_unknown_subsection_that_no_property_turns_off() {
    let image = newer::UartImage { error: Some(newer::ErrorImage { code: 3 }), ..Default::default() };
    let (_, here) = refused(&source(image, props()), &destination(older::UartImage::default(), props()));
    assert!(
        here.ends_with(
            "('uart/error' of 'uart' is sent while it is in use, and no property turns it off: try again later, or migrate \
             to a release that knows it)"
        ),
        "{here}"
    );
}

#[test]
fn versions_that_are_too_new_or_too_old() {
    let (there, here) =
        refused(&source(newer::NextImage::default(), ()), &destination(older::FirstImage::default(), ()));
    assert_eq!(
        there,
        "destination: section 'uart' instance 0: at byte 0x…: version 4 is too new: this release loads up to version 2 \
         (the source is a newer release, and nothing makes it write an older version of 'uart': migrate to a release that \
         loads version 4)"
    );
    assert!(here.contains("version 4 is too new"), "{here}");
    let (there, _) = refused(&source(older::FirstImage::default(), ()), &destination(newer::NextImage::default(), ()));
    assert_eq!(
        there,
        "destination: section 'uart' instance 0: at byte 0x…: version 2 is too old: this release loads from version 4 on \
         (the source is an older release: migrate first to one that loads version 2 of 'uart' and writes version 4 or a \
         newer one)"
    );
}

#[test]
fn a_missing_footer_names_the_properties_that_shape_the_section() {
    let off = UartProps { migrate_rate: false, ..props() };
    let (there, _) =
        refused(&source(older::UartImage::default(), props()), &destination(older::UartImage::default(), off));
    assert_eq!(
        there,
        "destination: section 'uart' instance 0: at offset 0x…: missing section footer: found octet 0x00 instead of 0x7e \
         (the source's 'uart' has another layout than is read here; fields of it are only there with a property on, which \
         must be set alike at both ends: rate (migrate-rate))"
    );
}

#[test]
fn a_missing_footer_without_such_properties_is_a_changed_layout() {
    let source = source(older::UartImage { control: 7, rate: 9 }, props());
    let configured = older::ConfiguredImage { control: 7 };
    let (there, _) = refused(&source, &destination(configured, ()));
    assert!(there.contains("which ends it behind 'control': fields were changed between the two releases"), "{there}");
}

#[test]
fn a_value_that_differs() {
    let configured = older::ConfiguredImage { control: 7 };
    let (there, _) = refused(&source(older::UartImage::default(), props()), &destination(configured, ()));
    assert_eq!(
        there,
        "destination: section 'uart' instance 0: uart.control at byte 0x…: value 0x0 does not equal 0x7 here ('uart' is \
         configured in another way here: start the destination with the source's device options)"
    );
}

#[test]
fn a_section_that_no_device_takes() {
    let source = source(older::FirstImage::default(), ());
    let elsewhere = with(RunState::InMigrate, Place::at("0000:00:05.0"), older::FirstImage::default(), ());
    let (there, _) = refused(&source, &elsewhere);
    assert!(
        there.ends_with(
            "a section is 'uart' instance 0, accepted is one that this machine has (0000:00:05.0/uart/0, walker/0) (give \
             it the place that it has at the source; here such a device is '0000:00:05.0/uart' instance 0)"
        ),
        "{there}"
    );
    let (there, _) = refused(&source, &end(RunState::InMigrate));
    assert!(there.ends_with("(walker/0) (start the destination with the devices of the source)"), "{there}");
}
