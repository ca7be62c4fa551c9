require "json"
require "set"
Point = Struct.new(:x, :y) { def norm = Math.sqrt(x * x + y * y) }
puts RUBY_VERSION
puts (1..30).inject(:*)
puts %w[pear apple fig].sort_by { |word| [word.length, word] }.to_json
puts Point.new(3, 4).norm
begin
  Integer("x")
rescue ArgumentError => error
  puts error.message
end
fiber = Fiber.new { 3.times { |i| Fiber.yield i * i }; :done }
puts 4.times.map { fiber.resume }.inspect
puts "naïve café".scan(/\p{L}+/).map(&:upcase).join("-")
