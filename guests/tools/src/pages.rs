//! Gives a core module that has no `cabi_realloc` one that hands out memory the program set aside.
//!
//! The preview1 adapter needs a page for its state and one for its stack. Without an exported `cabi_realloc` it takes them by
//! memory.grow. Go's runtime believes that memory grows only at its own request and that what follows its heap is free, so
//! it hands the adapter's pages out again. A Go program cannot export a function that works before the runtime has started;
//! but it can hold an array that it never touches (src/go/main.go), recognised by the text it begins with.

use wasm_encoder::reencode::{self, Error as Reencoded, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, Module, TypeSection, ValType,
};
use wasmparser::{DataKind, Operator, Parser, Payload};

use crate::Result;

/// What the array in the program begins with, and its length in bytes.
const MARK: &[u8] = b"guest-tools: pages for the preview1 adapter";
const LENGTH: u64 = 4 << 16;

/// The module `core` with an added export `cabi_realloc`, which allocates upwards in the marked array and frees nothing.
pub(crate) fn with_realloc(core: &[u8]) -> Result<Vec<u8>> {
    let start = marked_address(core)?;
    let mut adding = Adding { start, imported_functions: imported_functions(core)?, ..Adding::default() };
    let mut module = Module::new();
    adding.parse_core_module(&mut module, Parser::new(0), core)?;
    if !(adding.exported && adding.defined && adding.has_global) {
        return Err("a section to add cabi_realloc to is missing".into());
    }
    Ok(module.finish())
}

fn marked_address(core: &[u8]) -> Result<u64> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        let Payload::DataSection(section) = payload? else { continue };
        for data in section {
            let data = data?;
            let DataKind::Active { memory_index: 0, offset_expr } = data.kind else { continue };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else { continue };
            let at = data.data.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
            found.extend(at.map(|(offset, _)| u64::from(value as u32) + offset as u64));
        }
    }
    match found.as_slice() {
        [address] => Ok(*address),
        _ => Err(format!("the mark is {} times in the module, not once", found.len()).into()),
    }
}

fn imported_functions(core: &[u8]) -> Result<u32> {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                count += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
            }
        }
    }
    Ok(count)
}

#[derive(Default)]
struct Adding {
    start: u64,
    imported_functions: u32,
    type_index: u32,
    function_index: u32,
    global_index: u32,
    has_global: bool,
    exported: bool,
    defined: bool,
}

type Parsed = std::result::Result<(), Reencoded<std::convert::Infallible>>;

impl Reencode for Adding {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Parsed {
        reencode::utils::parse_type_section(self, types, section)?;
        self.type_index = types.len();
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Parsed {
        reencode::utils::parse_function_section(self, functions, section)?;
        self.function_index = self.imported_functions + functions.len();
        functions.function(self.type_index);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Parsed {
        reencode::utils::parse_global_section(self, globals, section)?;
        self.global_index = globals.len();
        self.has_global = true;
        let next = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        // The mark itself may be overwritten: nobody reads it.
        globals.global(next, &ConstExpr::i32_const(self.start as i32));
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Parsed {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export("cabi_realloc", ExportKind::Func, self.function_index);
        self.exported = true;
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Parsed {
        reencode::utils::parse_code_section(self, code, section)?;
        // (old, old_size, align, size): next = (next + align - 1) & -align; result = next; next += size; trap at the end.
        let (align, size, result) = (2, 3, 4);
        let mut body = Function::new([(1, ValType::I32)]);
        for instruction in [
            Instruction::GlobalGet(self.global_index),
            Instruction::LocalGet(align),
            Instruction::I32Add,
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::I32Const(0),
            Instruction::LocalGet(align),
            Instruction::I32Sub,
            Instruction::I32And,
            Instruction::LocalTee(result),
            Instruction::LocalGet(size),
            Instruction::I32Add,
            Instruction::GlobalSet(self.global_index),
            Instruction::GlobalGet(self.global_index),
            Instruction::I32Const((self.start + LENGTH) as i32),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
            Instruction::LocalGet(result),
            Instruction::End,
        ] {
            body.instruction(&instruction);
        }
        code.function(&body);
        self.defined = true;
        Ok(())
    }
}
