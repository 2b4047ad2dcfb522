# Words counted, turned round and joined: many small texts in hashes and arrays.
use strict;
use warnings;

my $rounds = shift;
my (%count, %by_length);
for my $round (1 .. $rounds) {
    my $text = join ' ', map { 'w' . ($_ * 7919 % 5003) . 'x' x ($_ % 40) } 1 .. 20000;
    for my $word ($text =~ /(\w+)/g) {
        $count{$word}++;
        push @{ $by_length{ length $word } }, scalar reverse $word;
    }
    %by_length = () if $round % 3 == 0;
}
my $all = 0;
$all += $_ for values %count;
die "words: $all\n" unless $all == 20000 * $rounds;
