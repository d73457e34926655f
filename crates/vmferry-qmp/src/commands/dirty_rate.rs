//! How fast the guest dirties its memory: `calc-dirty-rate`, `query-dirty-rate`.
//!
//! Source: `docs/spec/control.md` section 2.3. Mode `dirty-ring` is refused: it counts what single vCPUs dirty. Of our
//! own is `x-ferry-dirty-bytes`, once measured: the bytes that the rate was made of.

use std::time::Duration;

use serde_json::{Map, Value, json};
use vmferry::dirty_rate::{
    CALC_TIME_MAX, CALC_TIME_MIN, DirtyRateMode, DirtyRateRequest, DirtyRateStatus, SAMPLE_PAGES_DEFAULT,
    SAMPLE_PAGES_MAX, SAMPLE_PAGES_MIN,
};

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::error::CommandError;

const SECOND: &str = "second";
const MILLISECOND: &str = "millisecond";

pub(super) fn calc(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let amount = arguments.optional_u64("calc-time")?;
    let unit = unit(&mut arguments)?;
    let sample_pages = arguments.optional_u64("sample-pages")?;
    let mode = arguments.optional_string("mode")?;
    arguments.finish()?;
    let refused = |text: String| Err(CommandError::generic(text));
    let Some(amount) = amount else { return refused("parameter 'calc-time' is missing".to_owned()) };
    let time = if unit == SECOND { Duration::from_secs(amount) } else { Duration::from_millis(amount) };
    if !(CALC_TIME_MIN..=CALC_TIME_MAX).contains(&time) {
        let (from, to) = (CALC_TIME_MIN.as_millis(), CALC_TIME_MAX.as_millis());
        return refused(format!(
            "parameter 'calc-time' expects {from} to {to} milliseconds, found {}",
            time.as_millis()
        ));
    }
    let modes = [DirtyRateMode::PageSampling, DirtyRateMode::DirtyBitmap];
    let asked = mode.unwrap_or_else(|| DirtyRateMode::default().name().to_owned());
    let Some(mode) = modes.into_iter().find(|mode| mode.name() == asked) else {
        let accepted = modes.map(DirtyRateMode::name).join(", ");
        return refused(format!("parameter 'mode' does not accept value '{asked}'; accepted: {accepted}"));
    };
    if sample_pages.is_some() && mode != DirtyRateMode::PageSampling {
        return refused(format!("parameter 'sample-pages' is of mode page-sampling; this one is {asked}"));
    }
    let sample_pages = sample_pages.unwrap_or(SAMPLE_PAGES_DEFAULT);
    if !(SAMPLE_PAGES_MIN..=SAMPLE_PAGES_MAX).contains(&sample_pages) {
        let text = "parameter 'sample-pages' expects";
        return refused(format!("{text} {SAMPLE_PAGES_MIN} to {SAMPLE_PAGES_MAX} pages, found {sample_pages}"));
    }
    context.monitor.calc_dirty_rate(DirtyRateRequest { time, sample_pages, mode })?;
    Ok(nothing())
}

pub(super) fn query(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let unit = unit(&mut arguments)?;
    arguments.finish()?;
    let rate = context.monitor.dirty_rate();
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("status", json!(rate.status.name()));
    add("sample-pages", json!(rate.sample_pages));
    add("mode", json!(rate.mode.name()));
    add("calc-time-unit", json!(unit));
    add("start-time", json!(rate.start_time_s));
    let time = if unit == SECOND { u128::from(rate.time.as_secs()) } else { rate.time.as_millis() };
    add("calc-time", json!(u64::try_from(time).unwrap_or(u64::MAX)));
    if rate.status == DirtyRateStatus::Measured {
        add("dirty-rate", rate.mib_per_s.map_or_else(|| json!(-1), |rate| json!(rate)));
        if let Some(bytes) = rate.dirty_bytes {
            add("x-ferry-dirty-bytes", json!(bytes));
        }
    }
    Ok(Value::Object(members))
}

fn unit(arguments: &mut Arguments) -> Result<&'static str, CommandError> {
    match arguments.optional_string("calc-time-unit")?.as_deref() {
        None | Some(SECOND) => Ok(SECOND),
        Some(MILLISECOND) => Ok(MILLISECOND),
        Some(other) => Err(CommandError::generic(format!(
            "parameter 'calc-time-unit' does not accept value '{other}'; accepted: {SECOND}, {MILLISECOND}"
        ))),
    }
}
