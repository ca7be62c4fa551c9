// A counter whose top bits light three lamps, and a small multiplier so that there is something to place.
module top(input clk, input [3:0] a, output [2:0] led, output reg match);
    reg [23:0] count = 0;
    reg [7:0] square = 0;
    always @(posedge clk) begin
        count <= count + 1;
        square <= a * a;
        match <= square == count[7:0];
    end
    assign led = count[23:21];
endmodule
