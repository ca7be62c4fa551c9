//! The name section (core specification appendix "Custom Sections"), read only when a message needs a name and never trusted.

use super::info::{ModuleInfo, TagIdx};
use alloc::{borrow::ToOwned, string::String};
use wasmparser::{BinaryReader, Name, NameSectionReader};

impl ModuleInfo {
    /// The tag's name: from the name section, else its first export.
    pub fn tag_name(&self, tag: TagIdx) -> Option<String> {
        self.in_name_section(|name| match name {
            Name::Tag(names) => {
                names.into_iter().map_while(Result::ok).find(|n| n.index == tag.0).map(|n| n.name.to_owned())
            }
            _ => None,
        })
        .or_else(|| {
            let wanted = super::ExternIdx::Tag(tag);
            self.exports.iter().find(|e| e.item == wanted).map(|e| e.name.as_ref().to_owned())
        })
    }

    /// The function's name: from the name section, else its first export.
    pub fn func_name(&self, func: u32) -> Option<String> {
        self.in_name_section(|name| match name {
            Name::Function(names) => {
                names.into_iter().map_while(Result::ok).find(|n| n.index == func).map(|n| n.name.to_owned())
            }
            _ => None,
        })
        .or_else(|| {
            let wanted = super::ExternIdx::Func(super::FuncIdx(func));
            self.exports.iter().find(|e| e.item == wanted).map(|e| e.name.as_ref().to_owned())
        })
    }

    /// The module's name: the embedder's, else the name section's.
    pub fn module_name(&self) -> Option<String> {
        self.name.clone().or_else(|| {
            self.in_name_section(|name| match name {
                Name::Module { name, .. } => Some(name.to_owned()),
                _ => None,
            })
        })
    }

    fn in_name_section<R>(&self, mut pick: impl FnMut(Name<'_>) -> Option<R>) -> Option<R> {
        let range = self.name_section.clone()?;
        let bytes = self.wasm.file().get(range.clone())?;
        let reader = NameSectionReader::new(BinaryReader::new(bytes, range.start as u64));
        reader.into_iter().map_while(Result::ok).find_map(&mut pick)
    }
}
