//! Enumerations of the API: CamelCase words, each with a sentence that `kubectl explain` shows.
//!
//! A structural schema has no place for the description of a value, so a field appends them to its own:
//! `#[schemars(transform = Choice::explain)]`.

/// Declares an enumeration of the API; the first value is the default.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident {
        #[doc = $first_doc:literal] $first:ident,
        $(#[doc = $doc:literal] $value:ident,)*
    }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            #[doc = $first_doc]
            #[default]
            $first,
            $(#[doc = $doc] $value,)*
        }

        impl $name {
            /// The word as it stands in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => stringify!($first),
                    $(Self::$value => stringify!($value),)*
                }
            }

            /// Appends what each value means to the description of a field.
            pub fn explain(schema: &mut schemars::Schema) {
                let mut text = schema.get("description").and_then(|it| it.as_str()).unwrap_or_default().to_owned();
                for (value, meaning) in [(stringify!($first), $first_doc), $((stringify!($value), $doc),)*] {
                    text.push_str(&format!(" {value}: {}", meaning.trim()));
                }
                schema.insert("description".to_owned(), text.into());
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "enum": [stringify!($first), $(stringify!($value),)*],
                })
            }
        }
    };
}

pub(crate) use choice;
