//! What the control API asks of all requests, or of those to one dataset: latency, an outage, a script.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::behaviour::click_id::Plan;

/// The longest script, in requests; what would be more is an outage.
pub(crate) const MAX_SCRIPT: usize = 100_000;

/// The orders in force. Those of a dataset go before those for all.
pub(crate) struct Control {
    usual_latency: Duration,
    everywhere: Orders,
    by_dataset: BTreeMap<String, Orders>,
}

/// What is asked of one dataset or of all.
#[derive(Default)]
struct Orders {
    latency: Option<Duration>,
    outage: Option<Plan>,
    script: VecDeque<Plan>,
}

/// The orders in force, as `GET /sandbox/control` shows them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Of one dataset; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// How long answers take, such as `200ms`.
    pub latency: Option<String>,
    /// What happens to every request until it is cleared.
    pub outage: Option<String>,
    /// What happens to the next requests, one after the other.
    pub script: Vec<String>,
}

/// What is in force for one request.
pub(crate) struct Order {
    pub(crate) latency: Duration,
    pub(crate) plan: Option<Plan>,
}

impl Control {
    pub(crate) fn new(usual_latency: Duration) -> Self {
        Self { usual_latency, everywhere: Orders::default(), by_dataset: BTreeMap::new() }
    }

    /// What happens to the next request of this dataset. Outages come first and use up no script.
    pub(crate) fn next(&mut self, dataset: &str) -> Order {
        let mut own = self.by_dataset.get_mut(dataset);
        let latency = own.as_ref().and_then(|own| own.latency).or(self.everywhere.latency);
        let outage = own.as_ref().and_then(|own| own.outage).or(self.everywhere.outage);
        let plan = outage
            .or_else(|| own.as_mut().and_then(|own| own.script.pop_front()))
            .or_else(|| self.everywhere.script.pop_front());
        Order { latency: latency.unwrap_or(self.usual_latency), plan }
    }

    pub(crate) fn set_latency(&mut self, dataset: Option<String>, latency: Option<Duration>) {
        self.orders(dataset).latency = latency;
    }

    pub(crate) fn set_outage(&mut self, dataset: Option<String>, outage: Option<Plan>) {
        self.orders(dataset).outage = outage;
    }

    pub(crate) fn set_script(&mut self, dataset: Option<String>, script: Vec<Plan>) {
        self.orders(dataset).script = script.into();
    }

    pub(crate) fn clear(&mut self, dataset: &str) {
        self.by_dataset.remove(dataset);
    }

    pub(crate) fn clear_all(&mut self) {
        self.everywhere = Orders::default();
        self.by_dataset.clear();
    }

    pub(crate) fn in_force(&self) -> Vec<InForce> {
        let of_datasets = self.by_dataset.iter().map(|(dataset, orders)| orders.show(Some(dataset.clone())));
        std::iter::once(self.everywhere.show(None)).chain(of_datasets).collect()
    }

    fn orders(&mut self, dataset: Option<String>) -> &mut Orders {
        match dataset {
            Some(dataset) => self.by_dataset.entry(dataset).or_default(),
            None => &mut self.everywhere,
        }
    }
}

impl Orders {
    fn show(&self, dataset: Option<String>) -> InForce {
        InForce {
            dataset,
            latency: self.latency.map(|latency| humantime::format_duration(latency).to_string()),
            outage: self.outage.map(|plan| plan.to_string()),
            script: self.script.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Reads `throttle:3,ok,reset-counted`: what happens to the next requests, each for the given number of them.
/// On a fault, returns the step that cannot be read.
pub(crate) fn read_script(text: &str) -> Result<Vec<Plan>, String> {
    let mut script = Vec::new();
    for step in text.split(',').map(str::trim) {
        let (name, times) = match step.split_once(':') {
            Some((name, times)) => (name, times.parse().map_err(|_| step.to_owned())?),
            None => (step, 1),
        };
        let plan = Plan::named(name).ok_or(step)?;
        if script.len().saturating_add(times) > MAX_SCRIPT {
            return Err(step.to_owned());
        }
        script.extend(std::iter::repeat_n(plan, times));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(control: &mut Control, dataset: &str) -> String {
        control.next(dataset).plan.map_or_else(|| "-".into(), |plan| plan.to_string())
    }

    #[test]
    fn a_script_is_used_up_request_by_request() {
        let mut control = Control::new(Duration::ZERO);
        control.set_script(None, read_script("throttle:2, ok,reset-counted").expect("a script"));
        let seen: Vec<String> = (0..5).map(|_| next(&mut control, "1")).collect();
        assert_eq!(seen, ["throttle", "throttle", "ok", "reset-counted", "-"]);
    }

    #[test]
    fn a_dataset_goes_before_all_and_an_outage_before_a_script() {
        let mut control = Control::new(Duration::ZERO);
        control.set_script(None, read_script("code1").expect("a script"));
        control.set_script(Some("1".into()), read_script("code2").expect("a script"));
        control.set_outage(Some("2".into()), Plan::named("silence"));
        assert_eq!(next(&mut control, "2"), "silence");
        assert_eq!(next(&mut control, "1"), "code2");
        assert_eq!(next(&mut control, "1"), "code1");
        assert_eq!(next(&mut control, "1"), "-");
        control.clear("2");
        assert_eq!(next(&mut control, "2"), "-");
    }

    #[test]
    fn a_script_that_cannot_be_read_names_its_step() {
        assert_eq!(read_script("ok,trottle:3").err().as_deref(), Some("trottle:3"));
        assert_eq!(read_script("ok:many").err().as_deref(), Some("ok:many"));
        assert_eq!(read_script("ok:99999999999").err().as_deref(), Some("ok:99999999999"));
    }
}
