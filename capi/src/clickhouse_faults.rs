//! How commands speak of ClickHouse's faults.

use warehouse::Fault;

use crate::failure::Failure;

/// What ClickHouse says of what `capi setup` makes: `UNKNOWN_TABLE` and `UNKNOWN_DATABASE`. With the point, so that 60 is
/// not 600.
const NOT_SET_UP: [&str; 2] = ["Code: 60.", "Code: 81."];

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let sentence = fault.to_string();
        match fault {
            Fault::Away(_) => Self::Unavailable(sentence),
            Fault::Operator(text) if NOT_SET_UP.iter().any(|code| text.starts_with(code)) => {
                Self::Unavailable(format!("the tables are missing: run `capi setup` ({sentence})"))
            }
            Fault::Operator(_) | Fault::Rows(_) => Self::Other(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_and_missing_tables_are_told_apart_from_faults() {
        let of = |fault: Fault| Failure::from(fault);
        assert!(matches!(of(Fault::Away("no answer".into())), Failure::Unavailable(_)));
        let missing = of(Fault::Operator("Code: 81. DB::Exception: Database capi does not exist".into()));
        assert!(matches!(missing, Failure::Unavailable(sentence) if sentence.contains("`capi setup`")));
        assert!(matches!(of(Fault::Operator("Code: 600. DB::Exception: new".into())), Failure::Other(_)));
    }
}
