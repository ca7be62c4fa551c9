//! What stands between the parentheses of `bindgen!`.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitBool, LitStr, Path, Token, braced, bracketed};

/// What is to be generated.
pub(crate) struct Options {
    /// Where errors are reported.
    pub(crate) span: Span,
    /// Folders and files of WIT, relative to the manifest; empty for inline WIT alone.
    pub(crate) paths: Vec<String>,
    /// WIT in the source.
    pub(crate) inline: Option<String>,
    /// The world, if it has to be said.
    pub(crate) world: Option<String>,
    /// Do host functions give a result of the runtime's?
    pub(crate) trappable: bool,
    /// Do host functions give futures, and callers wait?
    pub(crate) waits: bool,
    /// What is there already: interfaces and resources of WIT, and the Rust paths.
    pub(crate) with: Vec<(String, String)>,
    /// Derives on top of those that every type gets.
    pub(crate) additional_derives: Vec<String>,
    /// The path of the runtime.
    pub(crate) runtime: String,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut options = Options {
            span: Span::call_site(),
            paths: Vec::new(),
            inline: None,
            world: None,
            trappable: false,
            waits: false,
            with: Vec::new(),
            additional_derives: Vec::new(),
            runtime: String::from("::mini_wasm_runtime"),
        };
        if input.peek(LitStr) {
            options.world = Some(input.parse::<LitStr>()?.value());
            if input.peek(Token![in]) {
                input.parse::<Token![in]>()?;
                options.paths.push(input.parse::<LitStr>()?.value());
            }
        } else if input.peek(syn::token::Brace) {
            let fields;
            braced!(fields in input);
            while !fields.is_empty() {
                options.field(&fields)?;
                if !fields.is_empty() {
                    fields.parse::<Token![,]>()?;
                }
            }
        }
        if !input.is_empty() {
            return Err(input.error(
                r#"bindgen! takes nothing, "world", "world" in "path", or { path: ..., world: ..., ... }"#,
            ));
        }
        if options.paths.is_empty() && options.inline.is_none() {
            options.paths.push(String::from("wit"));
        }
        Ok(options)
    }
}

impl Options {
    /// What types must be as well so that futures over them may be sent.
    pub(crate) fn send(&self) -> &'static str {
        if self.waits { "Send + " } else { "" }
    }

    /// What stands before the function that calls a guest, behind the name of the runtime's, and behind the call.
    pub(crate) fn caller(&self) -> (&'static str, &'static str, &'static str) {
        if self.waits { ("async ", "_async", ".await") } else { ("", "", "") }
    }

    fn field(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![:]>()?;
        match name.to_string().as_str() {
            "path" if input.peek(syn::token::Bracket) => {
                let paths;
                bracketed!(paths in input);
                let paths = Punctuated::<LitStr, Token![,]>::parse_terminated(&paths)?;
                self.paths = paths.iter().map(LitStr::value).collect();
            }
            "path" => self.paths = Vec::from([input.parse::<LitStr>()?.value()]),
            "inline" => self.inline = Some(input.parse::<LitStr>()?.value()),
            "world" => self.world = Some(input.parse::<LitStr>()?.value()),
            "trappable" => self.trappable = input.parse::<LitBool>()?.value,
            "async" => self.waits = input.parse::<LitBool>()?.value,
            "with" => {
                let entries;
                braced!(entries in input);
                while !entries.is_empty() {
                    let wit = entries.parse::<LitStr>()?.value();
                    entries.parse::<Token![:]>()?;
                    self.with.push((wit, entries.parse::<Path>()?.to_token_stream().to_string()));
                    if !entries.is_empty() {
                        entries.parse::<Token![,]>()?;
                    }
                }
            }
            "additional_derives" => {
                let derives;
                bracketed!(derives in input);
                let derives = Punctuated::<Path, Token![,]>::parse_terminated(&derives)?;
                self.additional_derives =
                    derives.iter().map(|path| path.to_token_stream().to_string()).collect();
            }
            "runtime" => self.runtime = input.parse::<Path>()?.to_token_stream().to_string(),
            other => {
                return Err(syn::Error::new(
                    name.span(),
                    format!(
                        "bindgen! has no option `{other}`; it has path, inline, world, trappable, async, with, \
                         additional_derives and runtime"
                    ),
                ));
            }
        }
        Ok(())
    }
}
