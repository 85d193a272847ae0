//! What is asked for: an order, or a call.

use schemas::CallId;
use url::form_urlencoded;

use crate::validate::{FieldReason, LONGEST_ORDER_ID, Violation, is_blank};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The calls that report this order.
    Order(String),
    /// This call.
    Call(CallId),
}

impl Question {
    /// Reads a query: one `order_id` or one `call_id`. What else stands in it is ignored.
    ///
    /// # Errors
    /// With what is wrong.
    pub(super) fn read(query: &str) -> Result<Self, Vec<Violation>> {
        let mut asked = form_urlencoded::parse(query.as_bytes()).filter_map(|(name, value)| match &*name {
            "order_id" => Some(order(value.into_owned())),
            "call_id" => Some(call(&value)),
            _ => None,
        });
        match (asked.next(), asked.next()) {
            (Some(question), None) => question.map_err(|violation| vec![violation]),
            (None, _) => Err(vec![violation("order_id", FieldReason::FieldRequired, "or `call_id` is required")]),
            (Some(_), Some(_)) => {
                Err(vec![violation("order_id", FieldReason::TooManyItems, "and `call_id`: ask for one of them, once")])
            }
        }
    }
}

/// What is wrong with a query, if anything.
pub(crate) fn fault_of(query: &str) -> Option<Vec<Violation>> {
    Question::read(query).err()
}

fn order(id: String) -> Result<Question, Violation> {
    if is_blank(&id) {
        return Err(violation("order_id", FieldReason::FieldRequired, "must not be blank"));
    }
    if id.len() > LONGEST_ORDER_ID {
        let description = format!("must have at most {LONGEST_ORDER_ID} bytes");
        return Err(violation("order_id", FieldReason::FieldTooLong, &description));
    }
    Ok(Question::Order(id))
}

fn call(id: &str) -> Result<Question, Violation> {
    let fault = "must be a call's id, such as `X-Request-Id` has it";
    id.parse().map(Question::Call).map_err(|_| violation("call_id", FieldReason::FieldValue, fault))
}

fn violation(field: &str, reason: FieldReason, description: &str) -> Violation {
    Violation { field: field.to_owned(), reason, description: description.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> (String, FieldReason) {
        let mut violations = Question::read(query).unwrap_err();
        assert_eq!(violations.len(), 1, "{violations:?}");
        let Violation { field, reason, .. } = violations.remove(0);
        (field, reason)
    }

    #[test]
    fn an_order_is_asked_for_as_it_was_reported() {
        let order = |query: &str| Question::read(query).unwrap();
        assert_eq!(order("order_id=ORD-7821"), Question::Order("ORD-7821".into()));
        assert_eq!(order("x=1&order_id=%C3%A4+%26%27%20"), Question::Order("ä &' ".into()));
    }

    #[test]
    fn a_call_is_asked_for_by_its_id() {
        let call = CallId::now();
        assert_eq!(Question::read(&format!("call_id={call}")).unwrap(), Question::Call(call));
    }

    #[test]
    fn what_is_no_question_is_refused_by_name() {
        for query in ["", "order=1", "order_id=", "order_id=%20"] {
            assert_eq!(refused(query), ("order_id".into(), FieldReason::FieldRequired), "{query}");
        }
        let call = CallId::now();
        for query in [
            "order_id=1&order_id=2".to_owned(),
            format!("order_id=1&call_id={call}"),
            format!("call_id={call}&call_id={call}"),
        ] {
            assert_eq!(refused(&query), ("order_id".into(), FieldReason::TooManyItems), "{query}");
        }
        assert_eq!(refused(&format!("order_id={}", "x".repeat(257))), ("order_id".into(), FieldReason::FieldTooLong));
        assert_eq!(refused("call_id=7"), ("call_id".into(), FieldReason::FieldValue));
    }
}
