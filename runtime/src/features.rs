//! The proposals of core WebAssembly that can be switched, once: field, name on the command line, wasmparser's flag, default.
//!
//! A feature is listed here when the engines run it. What is not listed is refused at validation.

use wasmparser::WasmFeatures;

macro_rules! features {
    ($($field:ident $name:literal $flag:ident $default:literal $doc:literal;)*) => {
        /// Which proposals a module may use.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub struct Features { $(#[doc = $doc] pub $field: bool,)* }

        impl Default for Features {
            fn default() -> Features { Features { $($field: $default,)* } }
        }

        impl Features {
            /// Name on the command line, what it is, and whether it is on by default.
            pub const LIST: &'static [(&'static str, &'static str, bool)] = &[$(($name, $doc, $default),)*];

            /// Switches a feature by its name; `None` when there is no such feature.
            pub fn set(&mut self, name: &str, on: bool) -> Option<()> {
                match name { $($name => self.$field = on,)* _ => return None }
                Some(())
            }

            /// The flags that the parser and validator are given.
            #[doc(hidden)]
            pub fn wasmparser(&self) -> WasmFeatures {
                let mut flags = WasmFeatures::MUTABLE_GLOBAL | WasmFeatures::FLOATS | WasmFeatures::COMPONENT_MODEL
                    | WasmFeatures::GC_TYPES;
                $(if self.$field { flags |= WasmFeatures::$flag; })*
                if !cfg!(target_has_atomic = "64") {
                    flags.remove(WasmFeatures::THREADS);
                }
                if !cfg!(fibers) {
                    // Continuations need stacks of their own, which this target does not have.
                    flags.remove(WasmFeatures::STACK_SWITCHING);
                }
                flags
            }
        }
    };
}

features! {
    saturating_float_to_int "saturating-float-to-int" SATURATING_FLOAT_TO_INT true "non-trapping float to int conversions";
    sign_extension "sign-extension" SIGN_EXTENSION true "sign extension operators";
    multi_value "multi-value" MULTI_VALUE true "several results, blocks with parameters";
    bulk_memory "bulk-memory" BULK_MEMORY true "bulk memory and table operators";
    reference_types "reference-types" REFERENCE_TYPES true "externref, funcref, several tables";
    tail_call "tail-call" TAIL_CALL true "return_call and return_call_indirect";
    extended_const "extended-const" EXTENDED_CONST true "integer arithmetic in constant expressions";
    multi_memory "multi-memory" MULTI_MEMORY true "several memories in a module";
    memory64 "memory64" MEMORY64 true "64-bit memories and tables";
    custom_page_sizes "custom-page-sizes" CUSTOM_PAGE_SIZES false "memories with pages of one byte";
    threads "threads" THREADS true "shared memories, atomic operators";
    wide_arithmetic "wide-arithmetic" WIDE_ARITHMETIC true "128-bit addition, subtraction and multiplication";
    compact_imports "compact-imports" COMPACT_IMPORTS true "imports that share a module name, or a type";
    simd "simd" SIMD true "128-bit vectors";
    relaxed_simd "relaxed-simd" RELAXED_SIMD true "vector operators whose results may depend on the machine";
    exceptions "exceptions" EXCEPTIONS true "exceptions: tags, throw, try_table, exnref";
    legacy_exceptions "legacy-exceptions" LEGACY_EXCEPTIONS false "exceptions as they were first: try, catch, delegate, rethrow";
    function_references "function-references" FUNCTION_REFERENCES true "typed function references, call_ref, tables with initialisers";
    custom_descriptors "custom-descriptors" CUSTOM_DESCRIPTORS false "exact types, objects that describe the type of others";
    gc "gc" GC true "structures, arrays, i31, casts, subtypes, recursive types";
    stack_switching "stack-switching" STACK_SWITCHING false "continuations: cont.new, suspend, resume, switch";
    component_map "component-map" CM_MAP true "maps in component interfaces";
    component_implements "component-implements" CM_IMPLEMENTS true "imports and exports that say which interface they implement";
    component_fixed_length_lists "component-fixed-length-lists" CM_FIXED_LENGTH_LISTS false "lists of a fixed length in component interfaces";
    component_memory64 "component-memory64" CM64 false "component functions whose values lie in 64-bit memories";
    component_nested_names "component-nested-names" CM_NESTED_NAMES false "names of packages in packages, of interfaces in interfaces";
    component_canonical_names "component-canonical-names" CM_CANON_NAMES false "interface names with a canonical version, the rest of it apart";
    component_accessors "component-accessors" CM_ACCESSORS false "functions whose names begin with `[get]` and `[set]`";
    component_async "component-async" CM_ASYNC false "async types and built-ins of components: checked, but what is asynchronous is refused or traps when called";
    component_more_async "component-more-async-builtins" CM_MORE_ASYNC_BUILTINS false "likewise";
    component_async_stackful "component-async-stackful" CM_ASYNC_STACKFUL false "likewise";
    component_threading "component-threading" CM_THREADING false "likewise";
    component_forward "component-forward" CM_FORWARD false "likewise";
}
