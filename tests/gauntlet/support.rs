//! A heap under test, and the configurations to test.

use core::alloc::Layout;
use core::marker::PhantomData;

use tagheap::{Error, HEADER, Heap, Key, Placement, Rule, UNIT};

pub(crate) use crate::careless::Careless;
pub(crate) use crate::ground::{Bare, Buffered, Ground, Reserved, Shaken, Stepped};
pub(crate) use crate::rig::{Live, Rig};

/// Stamps generic tests onto configurations: `buffer_and_reserve` for what holds over every source, `reserve` for what needs
/// address space, `stepped` for what needs a source that can be told to refuse, to be overtaken, or to shrink,
/// `shaken` for what depends on whether there is memory for indexes.
///
/// **The placements under test are the lines marked so**: module, type, how many blocks are many, and
/// whether it has an index, where there is memory for one.
macro_rules! stamp {
    ($sources:ident: $($test:ident),* $(,)?) => {
        mod $sources {
            stamp!(@placement $sources, scan, tagheap::Scan, 1 << 12, false; $($test),*); // a placement
            stamp!(@placement $sources, directory, tagheap::Directory, 1 << 16, true; $($test),*); // a placement
        }
    };
    (@placement buffer_and_reserve, $name:ident, $placement:ty, $many:expr, $indexed:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule buffer_split, Buffered, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule buffer_whole, Buffered, Whole, $placement, $many, $indexed; $($test),*);
            stamp!(@rule reserve_split, Reserved, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule reserve_whole, Reserved, Whole, $placement, $many, $indexed; $($test),*);
        }
    };
    (@placement reserve, $name:ident, $placement:ty, $many:expr, $indexed:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule reserve_split, Reserved, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule reserve_whole, Reserved, Whole, $placement, $many, $indexed; $($test),*);
        }
    };
    (@placement stepped, $name:ident, $placement:ty, $many:expr, $indexed:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule stepped_split, Stepped, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule stepped_whole, Stepped, Whole, $placement, $many, $indexed; $($test),*);
        }
    };
    (@placement shaken, $name:ident, $placement:ty, $many:expr, $indexed:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule stepped_split, Stepped, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule stepped_whole, Stepped, Whole, $placement, $many, $indexed; $($test),*);
            stamp!(@rule bare_split, Bare, Split, $placement, $many, $indexed; $($test),*);
            stamp!(@rule bare_whole, Bare, Whole, $placement, $many, $indexed; $($test),*);
        }
    };
    (@rule $name:ident, $ground:ident, $rule:ident, $placement:ty, $many:expr, $indexed:expr; $($test:ident),*) => {
        mod $name {
            use crate::support::{On, $ground};
            type Here = On<$ground, tagheap::$rule, $placement, { $many }, $indexed>;
            $(
                #[test]
                fn $test() {
                    super::super::super::$test::<Here>();
                }
            )*
        }
    };
}

/// One configuration of a heap.
pub(crate) trait Config {
    type Ground: Ground;
    type Rule: Rule + Default;
    type Placement: Placement + Default;
    /// How many blocks this configuration handles in a test's time, one by one.
    const MANY: usize;
    const SPLITS: bool = Self::Rule::SPLITS;
    /// Whether the placement has an index, where there is memory for one.
    const INDEXED: bool;
}

#[derive(Debug)]
pub(crate) struct On<G, R, P, const MANY: usize, const INDEXED: bool>(PhantomData<(G, R, P)>);

impl<G, R, P, const MANY: usize, const INDEXED: bool> Config for On<G, R, P, MANY, INDEXED>
where
    G: Ground,
    R: Rule + Default,
    P: Placement + Default,
{
    type Ground = G;
    type Rule = R;
    type Placement = P;
    const MANY: usize = MANY;
    const INDEXED: bool = INDEXED;
}

pub(crate) type SourceOf<C> = <<C as Config>::Ground as Ground>::Source;
pub(crate) type HeapOf<C> = Heap<SourceOf<C>, <C as Config>::Rule, <C as Config>::Placement>;

pub(crate) fn heap_over<C: Config>(source: SourceOf<C>) -> Result<HeapOf<C>, Error> {
    let (rule, placement) = (C::Rule::default(), C::Placement::default());
    Heap::with(source, rule, placement, Key::FIXED)
}

pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub(crate) fn bytes(size: usize) -> Layout {
    layout(size, 1)
}

/// Bytes of the block that a request for `size` bytes needs: written anew, to compare with.
pub(crate) fn block_size(size: usize) -> usize {
    HEADER + size.max(1).div_ceil(UNIT) * UNIT
}
