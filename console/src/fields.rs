//! What a query string or a form says, field by field: read with the rules of each, and every fault told in a sentence.

use url::form_urlencoded;

/// Fields of one request. More than that were typed by nobody.
const MOST: usize = 100;

/// The fields of a query string or a form, and what is wrong with those that were read.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pairs: Vec<(String, String)>,
    complaints: Vec<Complaint>,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The field's name in the form.
    pub(crate) field: &'static str,
    /// What is wrong, as the end of a sentence that begins with the field's label.
    pub(crate) sentence: String,
}

impl Fields {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs =
            form_urlencoded::parse(text).take(MOST).map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self { pairs: pairs.collect(), complaints: Vec::new() }
    }

    /// The text of a field as it was sent; `None` where it is absent or empty, or is complained about.
    pub(crate) fn text(&mut self, field: &'static str, longest: usize) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(name, value)| name == field && !value.is_empty());
        let (value, again) = (values.next()?.1.clone(), values.next().is_some());
        if again {
            self.complain(field, "is given more than once");
        } else if value.len() > longest {
            self.complain(field, format!("has more than {longest} bytes"));
        } else if value.chars().any(char::is_control) {
            self.complain(field, "has a control character, such as a line break");
        } else {
            return Some(value);
        }
        None
    }

    /// The same without the blanks around it, which come with copying.
    pub(crate) fn trimmed(&mut self, field: &'static str, longest: usize) -> Option<String> {
        let text = self.text(field, longest)?;
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// A field that is read into something else; `what` is what it would have to be.
    pub(crate) fn read<T>(
        &mut self,
        field: &'static str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.trimmed(field, 200)?;
        let value = read(&text);
        if value.is_none() {
            self.complain(field, format!("is not {what}: “{text}”"));
        }
        value
    }

    pub(crate) fn complain(&mut self, field: &'static str, sentence: impl Into<String>) {
        self.complaints.push(Complaint { field, sentence: sentence.into() });
    }

    pub(crate) fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_it_was_sent() {
        let mut fields = Fields::parse("order=a+%26%27b%20&empty=".as_bytes());
        assert_eq!(fields.text("order", 10).as_deref(), Some("a &'b "));
        assert_eq!(fields.trimmed("order", 10).as_deref(), Some("a &'b"));
        assert_eq!((fields.text("empty", 10), fields.text("absent", 10)), (None, None));
        assert!(fields.complaints().is_empty());
    }

    #[test]
    fn every_fault_has_its_sentence() {
        let mut fields = Fields::parse(b"twice=1&twice=2&long=aaaa&line=a%0Ab&number=x&bytes=%FF");
        assert_eq!(fields.text("twice", 3), None);
        assert_eq!(fields.text("long", 3), None);
        assert_eq!(fields.text("line", 3), None);
        assert_eq!(fields.read("number", "a number", |text| text.parse::<u32>().ok()), None);
        assert_eq!(fields.text("bytes", 3).as_deref(), Some("\u{fffd}"), "what is no text finds nothing");
        let told: Vec<_> = fields.complaints().iter().map(|complaint| complaint.field).collect();
        assert_eq!(told, ["twice", "long", "line", "number"]);
        assert_eq!(fields.complaints()[3].sentence, "is not a number: “x”");
    }

    #[test]
    fn fields_are_bounded_in_number() {
        let many = "a=1&".repeat(100_000);
        assert_eq!(Fields::parse(many.as_bytes()).pairs.len(), MOST);
    }
}
