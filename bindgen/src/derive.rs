//! `#[derive(ComponentType, Lift, Lower)]`: the fields or cases of a Rust type as rows for the macros of canonical-abi.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr};

/// Which trait is derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    ComponentType,
    Lift,
    Lower,
}

/// What `#[component(...)]` on the type says that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Record,
    Variant,
    Enum,
}

/// The impl, or a compile error that says what cannot be derived.
pub(crate) fn derive(input: TokenStream, which: Trait) -> TokenStream {
    syn::parse2(input).and_then(|input| rows(&input, which)).unwrap_or_else(|error| error.to_compile_error())
}

fn rows(input: &DeriveInput, which: Trait) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            "a component type has no parameters: write it out for each use",
        ));
    }
    let name = &input.ident;
    let abi = quote!(::mini_wasm_runtime::component::abi);
    let said = kind(&input.attrs)?;
    let wrong = |what: &str| Err(syn::Error::new_spanned(name, what));
    match &input.data {
        Data::Struct(data) => {
            if said.is_some_and(|kind| kind != Kind::Record) {
                return wrong("a struct is a record: #[component(record)] or nothing");
            }
            let Fields::Named(fields) = &data.fields else {
                return wrong("a record has named fields; a tuple of Rust is a tuple of WIT as it is");
            };
            if fields.named.is_empty() {
                return wrong("a record has at least one field");
            }
            let rows = fields.named.iter().map(|field| {
                let (name, ty) = (&field.ident, &field.ty);
                let label = label(&field.attrs)?;
                Ok(quote!(#name: #ty #label,))
            });
            let rows = rows.collect::<syn::Result<TokenStream>>()?;
            Ok(match which {
                Trait::ComponentType => quote!(#abi::__record! { @type #name { #rows } }),
                Trait::Lift => quote!(#abi::__record! { @lift #name { #rows } }),
                Trait::Lower => quote!(#abi::__record! { @lower #name { #rows } }),
            })
        }
        Data::Enum(data) => {
            let payloads = data.variants.iter().any(|variant| !matches!(variant.fields, Fields::Unit));
            let kind = match said {
                Some(Kind::Record) => return wrong("a Rust enum is a variant or an enum"),
                Some(Kind::Enum) if payloads => {
                    return wrong("a case of an enum has no payload: this is a variant");
                }
                Some(kind) => kind,
                None if payloads => Kind::Variant,
                None => Kind::Enum,
            };
            if data.variants.is_empty() {
                return wrong("there must be at least one case");
            }
            let rows = data.variants.iter().map(|variant| {
                let (case, label) = (&variant.ident, label(&variant.attrs)?);
                match &variant.fields {
                    Fields::Unit => Ok(quote!(#case #label,)),
                    Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                        let ty = &fields.unnamed[0].ty;
                        Ok(quote!(#case(#ty) #label,))
                    }
                    _ => {
                        Err(syn::Error::new_spanned(case, "a case has one payload, without a name, or none"))
                    }
                }
            });
            let rows = rows.collect::<syn::Result<TokenStream>>()?;
            Ok(match which {
                Trait::ComponentType => {
                    let kind = if kind == Kind::Enum { quote!(enumeration) } else { quote!(type) };
                    quote!(#abi::__variant! { @cases #name { #rows } } #abi::__variant! { @#kind #name { #rows } })
                }
                Trait::Lift => quote!(#abi::__variant! { @lift #name { #rows } }),
                Trait::Lower => quote!(#abi::__variant! { @lower #name { #rows } }),
            })
        }
        Data::Union(_) => wrong("a union is no component type"),
    }
}

/// `= "label"` for a row whose field or case has `#[component(name = "label")]`.
fn label(attrs: &[Attribute]) -> syn::Result<TokenStream> {
    let mut label = TokenStream::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("component")) {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("here only `name = \"...\"`"));
            }
            let text: LitStr = meta.value()?.parse()?;
            label = quote!(= #text);
            Ok(())
        })?;
    }
    Ok(label)
}

fn kind(attrs: &[Attribute]) -> syn::Result<Option<Kind>> {
    let mut kind = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("component")) {
        // `enum` is a word of Rust's own, so no path.
        let word = attr.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            <Ident as syn::ext::IdentExt>::parse_any(input)
        })?;
        kind = Some(match word.to_string().as_str() {
            "record" => Kind::Record,
            "variant" => Kind::Variant,
            "enum" => Kind::Enum,
            _ => {
                return Err(syn::Error::new(
                    word.span(),
                    "`record`, `variant` or `enum`; flags are declared by `flags!`",
                ));
            }
        });
    }
    Ok(kind)
}
