//! A thread that C made: no Rust runtime, no signal stack, little stack.
#![expect(unsafe_code, reason = "makes a thread with the C library")]

use mini_wasm_jit::Jit;
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::handle::Instance;
use mini_wasm_runtime::module::Module;
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::trap::Trap;
use std::ffi::c_void;
use std::sync::Arc;

extern "C" fn body(passed: *mut c_void) -> *mut c_void {
    for guard_pages in [true, false] {
        let engine =
            Engine::with_backend(Config { guard_pages, ..Config::default() }, Arc::new(Jit::default()));
        let wat = r#"(module (memory 1)
            (func $deep (export "deep") (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "div") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0))))"#;
        let module = Module::new(&engine, wat::parse_str(wat).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        for (name, arg, trap) in [
            ("deep", 0, Trap::StackOverflow),
            ("load", -1, Trap::MemoryOutOfBounds),
            ("div", 0, Trap::IntegerDivideByZero),
            ("deep", 0, Trap::StackOverflow),
        ] {
            let func = instance.func(&mut store, name).unwrap().typed::<i32, i32>(&store).unwrap();
            assert_eq!(func.call(&mut store, arg).unwrap_err().trap(), Some(trap));
        }
    }
    // SAFETY: the flag that the test below waits for.
    unsafe { *passed.cast::<bool>() = true };
    std::ptr::null_mut()
}

#[test]
fn traps_come_out_on_a_thread_that_c_made() {
    // Compiling needs more stack than traps do in a debug build: half a megabyte is still little.
    for stack in [512 << 10, 1 << 20] {
        let mut passed = false;
        // SAFETY: plain use of the C library; the thread is joined before `passed` goes.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            assert_eq!(libc::pthread_attr_init(&mut attributes), 0);
            assert_eq!(libc::pthread_attr_setstacksize(&mut attributes, stack), 0);
            let mut thread = std::mem::zeroed();
            assert_eq!(libc::pthread_create(&mut thread, &attributes, body, (&raw mut passed).cast()), 0);
            assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
            libc::pthread_attr_destroy(&mut attributes);
        }
        assert!(passed, "{stack}");
    }
}
