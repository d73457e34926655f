//! Values of one description by name, as the report has them.

use std::collections::HashMap;

use crate::budget::{Budget, OverBudget};
use crate::value::{ScalarArray, Value};

/// Values by name in the order of their first appearance; repeated names and elements of arrays become lists.
#[derive(Default)]
pub(crate) struct Collected<'a> {
    entries: Vec<(String, Value)>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Collected<'a> {
    pub(crate) fn push(
        &mut self,
        name: &'a str,
        value: Value,
        is_element: bool,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        let known = self.places.get(name).and_then(|place| self.entries.get_mut(*place));
        let Some((_, list)) = known else {
            self.places.insert(name, self.entries.len());
            let is_list = is_element && !matches!(value, Value::Scalars(_));
            self.entries.push((name.to_owned(), if is_list { Value::List(vec![value]) } else { value }));
            return Ok(());
        };
        let mut values = match std::mem::replace(list, Value::Null) {
            Value::List(values) => values,
            Value::Scalars(array) => expand(&array, budget)?,
            first => vec![first],
        };
        match value {
            Value::Scalars(array) => values.extend(expand(&array, budget)?),
            value => values.push(value),
        }
        *list = Value::List(values);
        Ok(())
    }

    pub(crate) fn into_entries(self) -> Vec<(String, Value)> {
        self.entries
    }
}

fn expand(array: &ScalarArray, budget: &mut Budget) -> Result<Vec<Value>, OverBudget> {
    budget.take_values(u64::try_from(array.len()).unwrap_or(u64::MAX))?;
    Ok(array.iter().map(Value::Scalar).collect())
}
