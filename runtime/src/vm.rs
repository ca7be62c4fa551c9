//! What an instance *is*, for the interpreter, for native code and for components alike: `repr(C)` structures, and the rule
//! by which a module's own part is laid out behind the header ([`VmLayout`]).
//!
//! The interpreter reads the fields, the jit takes [`core::mem::offset_of!`] of the same structures. Nothing here knows who runs.
//!
//! Numbered invariants (ARCHITECTURE.md repeats them):
//!
//! * V1. A `VmContext`, and every `VmMemory`, `VmTable`, `VmGlobal`, `VmFunc` it points to, lives in the store that
//!   `VmContext::store` names (a shared memory's `VmMemory` in the `SharedMemory` that the store holds), at an address that does
//!   not change until the store is dropped.
//! * V2. `VmMemory::base .. base + len` is mapped and writable; `len` only grows. Of a shared memory, whose bytes other threads
//!   touch at any time, `base` never changes, and Rust code reaches the bytes by atomic accesses only. The `base` of a memory with guards never changes and every address
//!   up to `base + GUARDED_BYTES` beyond `len` faults rather than touch foreign memory. Code made for guards runs in no instance that has a 32-bit memory without.
//! * V3. `VmTable::base .. base + len` holds references of the table's type: null or a live `*const VmFunc` for functions,
//!   what [`crate::reference`] says for the others.
//! * V4. A `VmFunc` is called only with slots that its type's `call_slots()` covers.
//! * V5. One thread at a time runs in a store.
//! * V6. A `VmType`, its display and what that points to live as long as the engine, which every store holds, and never change.
//! * V7. A component instance's `HandleTable` and the store's `Tasks` stay where they are until the store is dropped. Their slots lie where their own
//!   fields say, at offsets that `mini_wasm_canonical_abi::handle::native` names; a table never has fewer slots than before. A handle that is lent is
//!   not removed.

use crate::gc::Shape;
use crate::module::ScalarCall;
use crate::trap::Trap;
pub use crate::types::{GUARD_BYTES, GUARDED_BYTES};
use crate::val::RawVal;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, AtomicUsize};

/// How a call ended: 0, or why guest frames must be left. Travels through every [`ArrayCall`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Status(pub u32);

impl Status {
    /// The call returned.
    pub const OK: Status = Status(0);
    /// An error waits in the store (`StoreInner::parked`): a host error, an exit, a panic to resume.
    pub const PARKED: Status = Status(0x100);

    /// An exception is on its way: it waits in [`VmStore::exception`].
    pub const EXCEPTION: Status = Status(0x101);

    /// The status of a trap.
    pub const fn trap(trap: Trap) -> Status {
        Status(trap.code() as u32)
    }

    /// The trap of this status, if it is one.
    pub fn as_trap(self) -> Option<Trap> {
        u8::try_from(self.0).ok().and_then(Trap::from_code)
    }

    /// Did the call return?
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

/// The entry that any caller can use: parameters in `slots[0..]`, results in the same place.
///
/// # Safety
/// `func` is live (V1), `slots` has room for the type's `call_slots()` (V4), the store is not running elsewhere (V5).
pub type ArrayCall = unsafe extern "C" fn(func: *const VmFunc, slots: *mut RawVal) -> Status;

/// A function that can be called from anywhere: what a `funcref` points at.
#[repr(C)]
#[derive(Debug)]
pub struct VmFunc {
    /// Entry for every caller. See [`ArrayCall`].
    pub array_call: ArrayCall,
    /// Entry in the `tail` convention for native callers: first parameter [`VmFunc::context`], then the wasm parameters. Null
    /// when the function is not compiled; the caller then uses its own module's stub for the signature, which spills the
    /// arguments and goes through `array_call` (the stub's first parameter is the `VmFunc` itself, hence `context`).
    pub native: *const c_void,
    /// First parameter of `native`: the instance's `VmContext` for compiled functions, this `VmFunc` itself for all others.
    pub context: *mut c_void,
    /// The instance the function belongs to; null for host functions.
    pub instance: *mut VmContext,
    /// The store that owns the function. A native stub that calls it has nothing but the `VmFunc`: when the status is not 0 it
    /// finds [`VmBuiltins::raise`] from here.
    pub store: *mut VmStore,
    /// For host functions, what `array_call` needs besides (a `HostFunc`); null otherwise.
    pub host: *const c_void,
    /// The function's type in the engine (V6).
    pub ty: *const VmType,
    /// Index in its module's function index space; 0 for host functions.
    pub index: u32,
    /// What the store's handles of it say, and 1 more; 0 as long as there is none. Guest code does not look here.
    pub handle: AtomicU32,
    /// A word that says whether [`VmFunc::behind`] may be called instead, which then comes to the same: not 0, it may. Null when there is
    /// no such function. A native stub looks here first.
    pub guard: *const AtomicU32,
    /// The function behind a guard, of the same type; it has a native entry.
    pub behind: *const VmFunc,
    /// For a call into another component that its caller's code may make itself, what that reads; else null.
    pub adapter: *const VmAdapter,
}

/// A defined type of the engine, one for all modules (V6): equal types have equal addresses.
#[repr(C)]
#[derive(Debug)]
pub struct VmType {
    /// How its objects lie in memory; without meaning for types of functions and continuations, which have none.
    pub shape: Shape,
    /// The type's identity ([`crate::types::TypeId`]).
    pub id: u32,
    /// How many supertypes it has.
    pub depth: u32,
    /// Its display: the supertypes from the root of its hierarchy on, itself at `depth`, then null up to
    /// [`crate::registry::LEAST_DISPLAY`].
    pub supers: *const *const VmType,
    /// Where the descriptor lies in its objects, in bytes from the header's start; 0 when they have none.
    pub descriptor_offset: u32,
}

impl VmType {
    /// Does one type match another? Equal addresses first, then one look into the display.
    ///
    /// # Safety
    /// Both are types of one engine (V6).
    #[inline]
    pub unsafe fn is_subtype(sub: *const VmType, of: *const VmType) -> bool {
        // SAFETY: V6: the display has `depth + 1` entries.
        unsafe {
            let depth = (*of).depth;
            sub == of || (depth <= (*sub).depth && *(*sub).supers.add(depth as usize) == of)
        }
    }
}

/// What a call of an imported function reads: filled in at instantiation, never null.
#[repr(C)]
#[derive(Debug)]
pub struct VmImport {
    /// Native entry: the function's own, or this module's stub for the signature (then `context` is the `VmFunc`). Null when
    /// this module has no native code.
    pub native: *const c_void,
    /// First parameter of `native`.
    pub context: *mut c_void,
    /// The function.
    pub func: *const VmFunc,
    /// Where the import is the call of another component that [`crate::module::ModuleInfo::scalar_calls`] describes, what the caller
    /// reads to make it itself. Null where it is anything else.
    pub adapter: *const VmAdapter,
}

/// Slots of a call between guests: parameters of the Canonical ABI and a pointer for the result.
pub const CROSSING_SLOTS: usize = 17;

/// What stands between two components, where native code of a [`crate::backend::NativeAdapter`] looks at it: all that differs between
/// two adapters of the same code. Filled in where caller and callee are linked; it changes no more.
#[repr(C)]
#[derive(Debug)]
pub struct VmAdapter {
    /// The `may_leave` of the caller's component instance, when the code asks for it.
    pub caller_may_leave: *const AtomicU32,
    /// The core function behind `canon lift`; it has a native entry.
    pub callee: VmImport,
    /// The function that this is the native entry of. Its `array_call` makes the whole call by the plan: the code hands over to it
    /// what it does not do itself, before anything has happened.
    pub func: *const VmFunc,
    /// The `may_leave` of the callee's component instance.
    pub callee_may_leave: *const AtomicU32,
    /// The callee's `realloc`, where the parameters need one; it has a native entry.
    pub realloc: VmImport,
    /// The caller's `realloc`, where the results need one and native code moves them; it has a native entry.
    pub caller_realloc: VmImport,
    /// The callee's `post-return`, if it has one; it has a native entry.
    pub post_return: VmImport,
    /// The caller's memory, where parameters or results need one. No other thread touches it.
    pub from: *const VmMemory,
    /// The callee's memory, another one.
    pub to: *const VmMemory,
    /// Where the caller's handles are: a `HandleTable`, at offsets that `mini_wasm_canonical_abi::handle::native` names.
    pub caller_handles: *mut c_void,
    /// Where the callee's handles are.
    pub callee_handles: *mut c_void,
    /// The calls of the store that have borrows: `Tasks`, offsets as for handles.
    pub tasks: *mut c_void,
    /// A word for each resource type of the parameters' plan, then of the results' (`handle::native::resource_word`).
    pub resources: *const u64,
    /// Limits of the store.
    pub store: *mut VmStore,
    /// The same as [`VmStore::builtins`].
    pub builtins: *const VmBuiltins,
    /// What kind of call it is, where the caller's code may make it itself; else null. Native code does not look here.
    pub scalars: *const ScalarCall,
}

macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $case:ident)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$doc])* $case,)*
        }

        impl $name {
            /// All of them, by number (`as u32`).
            pub const ALL: &[$name] = &[$($name::$case),*];
        }
    };
}

numbered! {
    /// What native code between components moves.
    AdapterContent {
        /// A string.
        String
        /// A list.
        List
        /// Values that do not go flat.
        Values
    }
}

numbered! {
    /// A rule that native code between components finds broken after it has begun to move values; before, the plan tells it.
    AdapterTrap {
        /// A pointer of the source is not aligned.
        Unaligned
        /// A string lies outside of the memory.
        StringOutOfBounds
        /// A list lies outside of the memory.
        ListOutOfBounds
        /// A string is longer than any may be.
        StringTooLong
        /// A list is longer than any may be.
        ListTooLong
        /// More bytes than a call may move.
        CopyBudget
        /// No character; the first number says what.
        Char
        /// No case; the first number says what, the second how many there are.
        Discriminant
        /// The callee has not dropped all that it borrowed.
        BorrowsRemain
    }
}

/// A memory, where guest code looks at it. Always the head of a `MemoryData`.
#[repr(C)]
#[derive(Debug)]
pub struct VmMemory {
    /// First byte.
    pub base: *mut u8,
    /// Size in bytes now. Grows only.
    pub len: AtomicUsize,
}

/// A table, where guest code looks at it. Always the head of a `TableData`.
#[repr(C)]
#[derive(Debug)]
pub struct VmTable {
    /// First element; each is one [`RawVal`].
    pub base: *mut RawVal,
    /// Elements now.
    pub len: usize,
}

/// A global: two slots, so that a v128 fits.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct VmGlobal {
    /// The value; the second slot is used by v128 only.
    pub slots: [RawVal; 2],
}

/// A tag: what an exception is thrown and caught by. Two tags are the same when their addresses are.
#[repr(C)]
#[derive(Debug)]
pub struct VmTag {
    /// How its exceptions lie in memory: what they carry begins at [`crate::gc::FIELDS`], in consecutive slots.
    pub shape: Shape,
    /// The tag's type in the engine ([`crate::types::TypeId`]).
    pub type_id: u32,
    /// Its number in the store.
    pub index: u32,
}

/// What the whole store shares and guest code reads: limits and meters.
#[repr(C)]
#[derive(Debug)]
pub struct VmStore {
    /// Lowest address of native stack that guest code may reach; checked in prologues (without guard pages) and at the doors.
    pub stack_limit: usize,
    /// Fuel left. A block whose cost is more traps with `OutOfFuel` and leaves the word as it was.
    pub fuel: u64,
    /// Epoch at which guest code stops.
    pub epoch_deadline: usize,
    /// The engine's epoch counter.
    pub epoch: *const AtomicUsize,
    /// First slot of the value stack that is not in use.
    pub value_stack_top: *mut RawVal,
    /// End of the value stack.
    pub value_stack_limit: *mut RawVal,
    /// The `StoreInner`, for builtins.
    pub inner: *mut c_void,
    /// Functions of the engine that guest code calls.
    pub builtins: *const VmBuiltins,
    /// How many bytes one call between components may move, parameters and results each.
    pub copy_bytes_per_call: u64,
    /// The exception that travels while the status is that of one: a reference, 0 for none. A root.
    pub exception: RawVal,
}

/// An instance. The header; the module's own part follows as [`VmLayout`] says.
#[repr(C)]
#[derive(Debug)]
pub struct VmContext {
    /// Limits and meters of the store.
    pub store: *mut VmStore,
    /// The same as [`VmStore::builtins`], one load nearer. Functions of the engine that guest code calls.
    pub builtins: *const VmBuiltins,
    /// Memory 0; points at an empty memory when the module has none.
    pub memory0: *mut VmMemory,
    /// The interpreter's code table of this module.
    pub interp_code: *const c_void,
    /// The `InstanceData`, for builtins.
    pub instance: *mut c_void,
}

/// Hands the table of builtins to the macro `$m`: name(parameters) -> result, documentation. Parameter types: `ctx` the calling
/// instance (null where a [`VmAdapter`] calls), `u32`, `u64`, `slots` a pointer to slots. Results: `status`, `u64`, `never`.
#[macro_export]
macro_rules! for_each_builtin {
    ($m:ident) => { $m! {
        raise(ctx, code: u32) -> never "Leaves all native frames up to the innermost entry with this status, or up to one that catches. Provided by the backend.";
        epoch(ctx) -> status "The deadline's epoch has come: trap, or go on with a later deadline.";
        memory_grow(ctx, memory: u32, delta_pages: u64) -> u64 "Grows a memory; the old size in pages or -1.";
        memory_fill(ctx, memory: u32, at: u64, value: u32, len: u64) -> status "`memory.fill`, fuel included.";
        memory_copy(ctx, to_memory: u32, from_memory: u32, to: u64, from: u64, len: u64) -> status "`memory.copy`, fuel included.";
        memory_init(ctx, memory: u32, data: u32, to: u64, from: u32, len: u32) -> status "`memory.init`, fuel included.";
        data_drop(ctx, data: u32) -> status "`data.drop`";
        memory_atomic_wait(ctx, memory: u32, address: u64, offset: u64, expected: u64, timeout: u64, bytes: u32) -> u64 "`memory.atomic.wait`: 0 woken, 1 another value, 2 timed out; else a status in the upper half.";
        memory_atomic_notify(ctx, memory: u32, address: u64, offset: u64, count: u32) -> u64 "`memory.atomic.notify`: how many were woken; or a status in the upper half.";
        table_grow(ctx, table: u32, value: u64, delta: u64) -> u64 "Grows a table; the old size or -1. Out of fuel: -2. Interrupted: -3.";
        table_fill(ctx, table: u32, at: u64, value: u64, len: u64) -> status "`table.fill`, fuel included.";
        table_copy(ctx, to_table: u32, from_table: u32, to: u64, from: u64, len: u64) -> status "`table.copy`, fuel included.";
        table_init(ctx, table: u32, elem: u32, to: u64, from: u32, len: u32) -> status "`table.init`, fuel included.";
        elem_drop(ctx, elem: u32) -> status "`elem.drop`";
        struct_new(ctx, ty: u32) -> u64 "A structure of zeros and nulls, or a status below `LEAST_REFERENCE`.";
        array_new(ctx, ty: u32, len: u32, low: u64, high: u64) -> u64 "An array of one value, or a status; fuel included.";
        array_new_data(ctx, ty: u32, data: u32, from: u32, len: u32) -> u64 "`array.new_data`: an array or a status, fuel included.";
        array_new_elem(ctx, ty: u32, elem: u32, from: u32, len: u32) -> u64 "`array.new_elem`: an array or a status, fuel included.";
        array_fill(ctx, ty: u32, array: u64, at: u32, low: u64, high: u64, len: u32) -> status "`array.fill`, fuel included.";
        array_copy(ctx, ty: u32, to: u64, to_at: u32, from: u64, from_at: u32, len: u32) -> status "`array.copy`, fuel included.";
        array_init_data(ctx, ty: u32, data: u32, array: u64, at: u32, from: u32, len: u32) -> status "`array.init_data`, fuel included.";
        array_init_elem(ctx, elem: u32, array: u64, at: u32, from: u32, len: u32) -> status "`array.init_elem`, fuel included.";
        call_own(ctx, func: u32, values: slots) -> status "Runs a function of this module in the interpreter (native code's fallback).";
        throw(ctx, tag: u32, values: slots) -> status "`throw`: what the exception carries.";
        throw_ref(ctx, exception: u64) -> status "`throw_ref`";
        cont_new(ctx, params: u32, call_slots: u32, values: slots) -> status "`cont.new`: a function in the first slot, where the continuation is left.";
        cont_bind(ctx, given: u32, values: slots) -> status "`cont.bind`: values, then the continuation; the new one is left in the first slot.";
        resume(ctx, given: u32, results: u32, handlers: slots, count: u32, values: slots) -> u64 "`resume`: values, then the continuation. Status in the upper half, in the lower the handler from 1, or 0.";
        resume_throw(ctx, tag: u32, params: u32, results: u32, handlers: slots, count: u32, values: slots) -> u64 "`resume_throw`: what the exception carries, then the continuation. As `resume`.";
        resume_throw_ref(ctx, results: u32, handlers: slots, count: u32, values: slots) -> u64 "`resume_throw_ref`: an exception, then the continuation. As `resume`.";
        suspend(ctx, tag: u32, params: u32, results: u32, values: slots) -> status "`suspend`: values to the handler, and back.";
        adapter_string(ctx, adapter: u64, transcode: u32, from: u64, to: u64, units: u64) -> status "Moves a string that fits (`Transcode` by number) from one address to another, and judges it.";
        adapter_list(ctx, adapter: u64, from: u64, to: u64, bytes: u64) -> status "Moves bytes from one address to another in a different memory.";
        adapter_pause(ctx, adapter: u64) -> status "Between two pieces of a long list: looks at the deadline.";
        adapter_refuse(ctx, adapter: u64, results: u32, content: u32, ptr: u64, alignment: u64, bytes: u64) -> status "What `realloc` returned is unaligned or out of bounds: the trap. For content as in [`AdapterContent`].";
        adapter_trap(ctx, adapter: u64, trap: u32, first: u64, second: u64) -> status "A rule is broken in the middle of a call: an [`AdapterTrap`], and numbers that it tells.";
        adapter_checked(ctx, adapter: u64, results: u32, step: u32, from: u64, to: u64, bytes: u64) -> status "Moves the elements of a list that a step of a plan checks, and judges them.";
        adapter_text(ctx, adapter: u64, results: u32, values: slots) -> status "Moves a string by the plan: pointer, length, and bytes moved so far in this direction; what they are then is left in the same slots.";
        adapter_own(ctx, adapter: u64, results: u32, resource: u32, index: u32) -> u64 "Moves an owned handle by the plan: its index, or a status in the upper half.";
        adapter_borrow(ctx, adapter: u64, resource: u32, index: u32) -> u64 "Lends a handle by the plan, to the innermost call if there is to be a handle: its index or representation, or a status in the upper half.";
        adapter_finish(ctx, adapter: u64, values: slots, results: slots) -> status "Lowers the results of a call, whose parameters are the values, into the values, and calls `post-return`.";
        switch_to(ctx, tag: u32, given: u32, results: u32, values: slots) -> status "`switch`: values, then the continuation.";
    } };
}

macro_rules! builtins_struct {
    ($($name:ident($ctx:ident $(, $arg:ident: $ty:tt)*) -> $ret:tt $doc:literal;)*) => {
        /// Functions of the engine that guest code calls by pointer, in table order.
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct VmBuiltins {
            $(#[doc = $doc] pub $name: unsafe extern "C" fn(*mut VmContext $(, builtins_struct!(@ty $ty))*) -> builtins_struct!(@ret $ret),)*
        }
    };
    (@ty u32) => { u32 };
    (@ty u64) => { u64 };
    (@ty slots) => { *mut RawVal };
    (@ret status) => { Status };
    (@ret u64) => { u64 };
    (@ret never) => { ! };
}
for_each_builtin!(builtins_struct);

/// Where a module's own part lies behind the [`VmContext`] header, in bytes from its start. All entries are 8-byte aligned,
/// globals 16. Both engines and the instantiation take their offsets from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmLayout {
    /// `[*mut VmMemory; memories]`, imported ones first.
    pub memories: u32,
    /// `[*mut VmTable; tables]`, imported ones first.
    pub tables: u32,
    /// `[*mut VmGlobal; globals]`, imported ones first. An own global's pointer leads into `own_globals`.
    pub globals: u32,
    /// `[*const VmTag; tags]`, imported ones first.
    pub tags: u32,
    /// `[VmImport; imported functions]`.
    pub imports: u32,
    /// `[VmFunc; escaping functions]`: own functions that something can refer to (exports, elements, `ref.func`).
    pub funcs: u32,
    /// `[*const VmType; types]`: the module's types, by type index.
    pub types: u32,
    /// `[VmGlobal; own globals]`.
    pub own_globals: u32,
    /// Bytes of the whole, header included.
    pub size: u32,
}

/// How many of each thing a module has, as the layout needs it.
#[derive(Clone, Copy, Default, Debug)]
pub struct VmCounts {
    /// All memories.
    pub memories: u32,
    /// All tables.
    pub tables: u32,
    /// All globals.
    pub globals: u32,
    /// Imported globals.
    pub imported_globals: u32,
    /// Imported functions.
    pub imported_funcs: u32,
    /// Own functions that something can refer to.
    pub escaping_funcs: u32,
    /// Types.
    pub types: u32,
    /// All tags.
    pub tags: u32,
}

impl VmLayout {
    /// The layout for a module. The counts are bounded by wasmparser's limits (at most a million each), so no sum overflows.
    pub const fn new(counts: &VmCounts) -> VmLayout {
        const fn size<T>(n: u32) -> u32 {
            n * size_of::<T>() as u32
        }
        const fn align(n: u32, to: u32) -> u32 {
            n.div_ceil(to) * to
        }
        let memories = align(size_of::<VmContext>() as u32, 8);
        let tables = memories + size::<*mut VmMemory>(counts.memories);
        let globals = tables + size::<*mut VmTable>(counts.tables);
        let tags = globals + size::<*mut VmGlobal>(counts.globals);
        let imports = align(tags + size::<*const VmTag>(counts.tags), 8);
        let funcs = align(imports + size::<VmImport>(counts.imported_funcs), 8);
        let types = funcs + size::<VmFunc>(counts.escaping_funcs);
        let own_globals = align(types + size::<*const VmType>(counts.types), 16);
        let size = own_globals + size::<VmGlobal>(counts.globals - counts.imported_globals);
        VmLayout {
            memories,
            tables,
            globals,
            tags,
            imports,
            funcs,
            types,
            own_globals,
            size: align(size, 16),
        }
    }
}

impl VmContext {
    /// The address of entry `index` of the array of `T` at `offset`.
    ///
    /// # Safety
    /// `this` is an instance of the module whose layout `offset` comes from, and the array has more than `index` entries (V1).
    #[inline(always)]
    pub unsafe fn entry<T>(this: *mut VmContext, offset: u32, index: u32) -> *mut T {
        // SAFETY: V1; the caller vouches for array and index.
        unsafe { this.byte_add(offset as usize).cast::<T>().add(index as usize) }
    }
}
