//! Names on the wire stay; where a device moved all the same, old streams find it.

use vmstate::{Input, Migrate, Place, Refused, Registry, Versions, VmState};

#[derive(VmState, Default)]
#[vmstate(name = "ide", version = 1)] // the section keeps this name, whatever the struct is called
struct StorageImage {
    #[vmstate(name = "fcr")] // descriptions and errors keep this one
    fifo_control: u8,
}

#[derive(Default)]
struct Storage(u8);

impl Migrate for Storage {
    type Image = StorageImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<StorageImage, Refused> {
        Ok(StorageImage { fifo_control: self.0 })
    }

    fn template(&self) -> Result<StorageImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: StorageImage, _: &Versions) -> Result<(), Refused> {
        let StorageImage { fifo_control } = image;
        self.0 = fifo_control;
        Ok(())
    }
}

#[test]
fn old_streams_find_a_device_that_moved() -> Result<(), Refused> {
    let devices = Registry::new(0);
    // Section `ide` before, `0000:00:01.1/ide` after.
    devices.register(Place::at("0000:00:01.1").older_name("ide", 0), Storage::default())?;
    // Instance 1 before, the port's address after.
    devices.register(Place::default().instance(0x170).alias(1), Storage::default())?;

    for (idstr, instance) in [("ide", 0), ("0000:00:01.1/ide", 0), ("ide", 1), ("ide", 0x170)] {
        let entry = devices.find(idstr, instance).unwrap();
        entry.section().load(1, &mut Input::from_slice(&[7], 0)).unwrap().commit()?;
    }
    Ok(())
}
