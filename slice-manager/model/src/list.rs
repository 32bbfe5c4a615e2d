//! Lists whose members have names, each name once.

use std::fmt;
use std::marker::PhantomData;

/// Something with a name that must be unique in its list.
pub trait Named {
    /// The name.
    fn name(&self) -> &str;
    /// What a member is, in the plural: "SDPs".
    const PLURAL: &'static str;
}

/// Two members of one list have the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two {plural} are named `{name}`; expected each name once")]
pub struct DuplicateName {
    /// What they are.
    pub plural: &'static str,
    /// The name that they share.
    pub name: String,
    /// The place of the second one.
    pub index: usize,
}

/// A list in which every name occurs once, in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct UniqueList<T>(Vec<T>);

impl<T: Named> UniqueList<T> {
    /// Checks the names.
    pub fn new(items: Vec<T>) -> Result<Self, DuplicateName> {
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if !seen.insert(item.name()) {
                return Err(DuplicateName { plural: T::PLURAL, name: item.name().to_owned(), index });
            }
        }
        Ok(Self(items))
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|item| item.name() == name)
    }
}

impl<T> Default for UniqueList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for UniqueList<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a UniqueList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> From<UniqueList<T>> for Vec<T> {
    fn from(list: UniqueList<T>) -> Self {
        list.0
    }
}

impl<'de, T: Named + serde::Deserialize<'de>> serde::Deserialize<'de> for UniqueList<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Named + serde::Deserialize<'de>> serde::de::Visitor<'de> for List<T> {
            type Value = UniqueList<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {}", T::PLURAL)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<UniqueList<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                UniqueList::new(items).map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for UniqueList<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        <Vec<T>>::json_schema(generator)
    }
}
