//! Limits on what single vCPUs dirty: `set-vcpu-dirty-limit`, `cancel-vcpu-dirty-limit`, `query-vcpu-dirty-limit`.
//!
//! Source: `docs/spec/control.md` section 2.3. As QEMU 10.0 does: a limit of 0 is none, -1 is 2^64-1; to lift one that
//! is not there, or on a machine without dirty rings, is no error.

use serde_json::{Value, json};
use vmferry::dirty_limit::VcpuDirtyLimit;

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::error::CommandError;

pub(super) fn set(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let vcpu = arguments.optional_u64("cpu-index")?;
    let rate = arguments.u64("dirty-rate")?;
    arguments.finish()?;
    context.monitor.set_vcpu_dirty_limit(vcpu, rate)?;
    Ok(nothing())
}

pub(super) fn cancel(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let vcpu = arguments.optional_u64("cpu-index")?;
    arguments.finish()?;
    context.monitor.cancel_vcpu_dirty_limit(vcpu)?;
    Ok(nothing())
}

pub(super) fn query(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let shown = |limit: VcpuDirtyLimit| {
        let VcpuDirtyLimit { vcpu, limit_mb_per_s, current_mb_per_s } = limit;
        json!({ "cpu-index": vcpu, "limit-rate": limit_mb_per_s, "current-rate": current_mb_per_s })
    };
    Ok(context.monitor.vcpu_dirty_limits().into_iter().map(shown).collect())
}
